/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace: a directory (0700, files 0600) with
 *   manifest          what machine this is (protobuf, CRC-protected)
 *   kernel, initrd    copies of the guest's files, digests in the manifest
 *   log/NNNNNN.rvl    event log segments, see evlog.h and record/FORMAT.md
 *   disk/N.rvb        block log of disk N: what the guest wrote
 *   disk/N.before     with commit=on: what the base held before
 */
#ifndef RV_RECORD_TRACE_H
#define RV_RECORD_TRACE_H

#include "base/bytes.h"
#include "base/digest.h"
#include "base/status.h"
#include "base/types.h"
#include "port/nondet.h"

#define TRACE_FORMAT_VERSION 2u

struct trace_disk {
	char *path; /* of the base, absolute; owned */
	uint64_t sectors;
	bool readonly, commit;
};
struct trace_net {
	uint8_t mac[6];
	uint16_t mtu;
};

struct trace_manifest {
	uint8_t id[16];           /* random, names the trace in every chunk */
	char cpu_model[32];
	uint32_t semantics_version;
	char result_profile[32];
	char engine[16];
	char host_cpu[64];
	char version[32];         /* of the program that recorded */
	uint64_t memory;
	uint32_t ncpus;
	uint64_t clock_rate;      /* at power-on */
	bool clock_virtual;
	int64_t date;             /* UTC ns at power-on */
	uint64_t seed;
	bool reboot;              /* a guest reset boots again instead of ending the run */
	uint64_t digest_every;    /* steps between digests */
	char *cmdline;            /* owned */
	unsigned ndisks, nnets;
	struct trace_disk disk[DISKS_MAX];
	struct trace_net net[NETS_MAX];
	bool console;             /* a virtio console */
	uint64_t chaos;           /* seed of --chaos; 0: off */
	bool keep;                /* a flight recording: what is old may be gone */
	struct digest128 kernel_digest, initrd_digest;
	uint64_t kernel_len, initrd_len; /* initrd_len 0: none */
};
/* Where the history that a trace holds begins: power-on, or a checkpoint of a flight recording whose past was
 * dropped. */
struct trace_start {
	bool from_ckpt;
	uint32_t segment; /* the log's first */
	uint32_t ckpt;    /* number of the checkpoint's file */
	struct exec_point at;
};
void trace_manifest_fini(struct trace_manifest *m);
/* Header and body to out. RV_EINVAL if a value cannot stand in a manifest. */
int manifest_encode(const struct trace_manifest *m, struct bytes *out);
/* The whole file. name: for messages. RV_EDAMAGED, RV_EVERSION, RV_ENOMEM. On success the caller owns
 * *out (trace_manifest_fini). */
int manifest_decode(const uint8_t *data, size_t len, const char *name, struct trace_manifest *out,
		    struct rv_err *err);

/* A trace opened for reading: manifest, guest files (mapped), nothing of the log yet. */
struct trace;
int trace_open(struct trace **out, const char *path, struct rv_err *err);
void trace_close(struct trace *t);
const char *trace_path(const struct trace *t);
/* Path of a disk's block log and of its before-images, in a trace at `trace_path`. */
#define TRACE_PATH_MAX 4096u
int trace_disk_log_path(const char *trace_path, unsigned disk, char out[TRACE_PATH_MAX]);
int trace_disk_before_path(const char *trace_path, unsigned disk, char out[TRACE_PATH_MAX]);
const struct trace_manifest *trace_manifest(const struct trace *t);
const void *trace_kernel(const struct trace *t); /* borrowed, manifest's length */
const void *trace_initrd(const struct trace *t); /* NULL: none */
/* RV_EDAMAGED: the log has no begin that a checkpoint leads to. */
int trace_find_start(const struct trace *t, struct trace_start *out, struct rv_err *err);
/* RV_ENOTSUP with a message if this program cannot honour the manifest (model, semantics, profile). */
int trace_check_supported(const struct trace *t, struct rv_err *err);

#endif
