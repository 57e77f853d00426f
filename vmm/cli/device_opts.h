/* SPDX-License-Identifier: Apache-2.0 */
/* --disk, --net, --hvc: the devices of a machine, from the command line. */
#ifndef RV_CLI_DEVICE_OPTS_H
#define RV_CLI_DEVICE_OPTS_H

#include <limits.h>

#include "base/status.h"
#include "base/types.h"
#include "port/nondet.h"

struct disk_opt {
	char path[PATH_MAX]; /* as given; absolute after device_opts_finish() */
	bool readonly, commit;
	bool shared; /* one image for both halves of a pair; commit as well */
};
struct net_opt {
	char spec[512]; /* what is left for the backend: "user,hostfwd=..." or "tap:NAME" */
	uint8_t mac[6];
	bool mac_given;
	uint16_t mtu;
};
struct device_opts {
	unsigned ndisks, nnets;
	struct disk_opt disk[DISKS_MAX];
	struct net_opt net[NETS_MAX];
	const char *hvc; /* where the virtio console goes; NULL: there is none */
};

/* F[,ro][,commit=on|off][,shared] */
int device_opts_disk(struct device_opts *o, const char *value, struct rv_err *err);
/* user[,hostfwd=...]|tap:NAME|none [,mac=XX:..][,mtu=N] */
int device_opts_net(struct device_opts *o, const char *value, struct rv_err *err);
/* Absolute paths; addresses that were not given, made from the seed. */
int device_opts_finish(struct device_opts *o, uint64_t seed, struct rv_err *err);

#endif
