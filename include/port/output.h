/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outbound port: the only door through which a machine has an effect that
 * the outside can see. Live: goes to the backend. Recording: is hashed on the
 * way. Replay: is hashed and compared, and shown or dropped. Primary of a pair:
 * waits for the backup.
 *
 * Devices send within an instruction only, never while an event is applied or
 * a timer runs: a primary counts on it (ft/PROTOCOL.md, "Output commit").
 */
#ifndef RV_PORT_OUTPUT_H
#define RV_PORT_OUTPUT_H

#include "base/types.h"

enum out_kind {
	OUT_CONSOLE = 1, /* bytes, from console `instance` */
	OUT_NET = 2,     /* one Ethernet frame, from network `instance`; checksums complete */
};

struct output {
	const struct output_ops *ops;
};
struct output_ops {
	/* icount: completed instructions before the one that caused it. Never fails and never blocks the
	 * guest: a backend that cannot take it keeps the error for itself. */
	void (*emit)(struct output *out, icount_t icount, enum out_kind kind, unsigned instance,
		     const void *data, size_t len);
};
static inline void output_emit(struct output *out, icount_t icount, enum out_kind kind,
			       unsigned instance, const void *data, size_t len)
{
	out->ops->emit(out, icount, kind, instance, data, len);
}

#endif
