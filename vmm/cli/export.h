/* SPDX-License-Identifier: Apache-2.0 */
/* What `export` writes, each behind an opaque struct: fed by the command as it replays. */
#ifndef RV_CLI_EXPORT_H
#define RV_CLI_EXPORT_H

#include <stdio.h>

#include "base/status.h"
#include "base/types.h"
#include "port/nondet.h"
#include "port/output.h"
#include "record/ckpt.h"
#include "record/trace.h"

/* ---- packets: pcapng (draft-ietf-opsawg-pcapng), one interface a network, nanoseconds of UTC ---- */
void export_pcap_begin(FILE *f, const struct trace_manifest *m);
void export_pcap_frame(FILE *f, unsigned net, bool from_guest, uint64_t utc_ns, const void *frame, size_t len);

/* ---- the timeline: one self-contained HTML page ---- */
struct export_page;
struct export_page *export_page_create(void); /* NULL: out of memory */
void export_page_destroy(struct export_page *p);
/* The machine was at this position at this time: called often, in order. */
void export_page_at(struct export_page *p, icount_t icount, vns_t vns);
void export_page_event(struct export_page *p, vns_t vns, enum nd_kind kind, uint32_t len);
void export_page_output(struct export_page *p, vns_t vns, enum out_kind kind, unsigned instance, const void *data,
			size_t len);
void export_page_digest(struct export_page *p, vns_t vns);
void export_page_note(struct export_page *p, icount_t icount, const void *text, size_t len); /* before the run */
void export_page_ckpt(struct export_page *p, const struct ckpt_info *info);                  /* before the run */
/* divergence: NULL, or the report. */
int export_page_write(struct export_page *p, FILE *f, const struct trace *t, const char *divergence);

#endif
