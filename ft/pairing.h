/* SPDX-License-Identifier: Apache-2.0 */
/* How two halves meet: who calls says what it needs, who listens what it has, then the machine's description follows. */
#ifndef RV_FT_PAIRING_H
#define RV_FT_PAIRING_H

#include "ft/node.h"
#include "ft_int.h"

struct ft_pairing {
	struct channel *channel; /* taken by the node */
	uint64_t term;           /* the primary's */
	uint8_t session[16];
	struct trace_manifest manifest;
	uint8_t *kernel, *initrd;
};

/* Link's thread of a primary, with a machine that runs. */
int ft_call(struct channel **out, const struct ft_node_cfg *cfg, uint64_t term, const uint8_t session[16],
	    struct rv_err *err);

#endif
