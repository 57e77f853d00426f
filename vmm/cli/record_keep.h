/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a flight recording (--keep) needs beside the checkpoint writer: which
 * blocks of the disks' block logs each full checkpoint still needs, so that
 * the others' space can be given back when it becomes the oldest; and the time,
 * since a guest that sleeps comes by no place where a checkpoint would be taken.
 */
#ifndef RV_CLI_RECORD_KEEP_H
#define RV_CLI_RECORD_KEEP_H

#include "host_devices.h"

struct record_keep;

/* tick: called from a thread of its own every period_ns. */
int record_keep_create(struct record_keep **out, struct host_devices *host, uint64_t period_ns,
		       void (*tick)(void *ctx), void *ctx);
void record_keep_destroy(struct record_keep *k);
/* ckpt_writer_cfg.full_taken and .dropped. */
void record_keep_full_taken(struct record_keep *k, struct machine *m, uint32_t number);
void record_keep_dropped(struct record_keep *k, uint32_t oldest);

#endif
