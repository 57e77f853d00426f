/* SPDX-License-Identifier: Apache-2.0 */
#include "host_devices.h"

#include <string.h>

static void host_devices_emit(struct output *out, icount_t icount, enum out_kind kind,
			      unsigned instance, const void *data, size_t len)
{
	struct host_devices *h = (struct host_devices *)out;

	if (kind == OUT_CONSOLE && instance < CONSOLES && h->console[instance])
		output_emit(console_output(h->console[instance]), icount, kind, instance, data, len);
	else if (kind == OUT_NET && instance < h->nnets)
		net_send(h->net[instance], data, len);
}

static const struct output_ops host_devices_output_ops = { .emit = host_devices_emit };

void host_devices_init(struct host_devices *h)
{
	*h = (struct host_devices){ .output.ops = &host_devices_output_ops };
}

static int open_disk(struct host_devices *h, const struct disk_file_cfg *cfg, struct rv_err *err)
{
	struct disk_file **d = &h->disk[h->ndisks];
	int rc = disk_file_create(d, cfg, err);

	if (!rc)
		h->port[h->ndisks++] = disk_file_port(*d);
	return rc;
}

int host_devices_open(struct host_devices *h, const struct machine_opts *o, struct live *live,
		      const struct base_reader *reader, const struct disk_shared *shared, struct rv_err *err)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < o->devices.ndisks; i++) {
		const struct disk_file_cfg cfg = {
			.path = o->devices.disk[i].path,
			.instance = i,
			.commit = o->devices.disk[i].commit,
			.shared = o->devices.disk[i].shared ? shared : NULL,
			.live = live,
			.by_clock = o->clock == LIVE_CLOCK_VIRTUAL,
			.chaos_us = o->chaos ? 2000 : 0,
			.chaos_seed = o->chaos,
			.base_read = reader->read,
			.ctx = reader->ctx,
		};

		rc = open_disk(h, &cfg, err);
	}
	for (unsigned i = 0; !rc && i < o->devices.nnets; i++) {
		const struct net_cfg cfg = { .spec = o->devices.net[i].spec,
					     .instance = i,
					     .mtu = o->devices.net[i].mtu,
					     .live = live };

		rc = net_create(&h->net[i], &cfg, err);
		if (!rc)
			h->nnets++;
	}
	return rc;
}

int host_devices_open_replay(struct host_devices *h, const struct trace *t,
			     const struct base_opts *bases, const struct base_reader *reader,
			     struct rv_err *err)
{
	const struct trace_manifest *m = trace_manifest(t);
	int rc = 0;

	for (unsigned i = 0; !rc && i < m->ndisks; i++) {
		const struct disk_file_cfg cfg = {
			.path = base_opts_path(bases, m->disk[i].path),
			.instance = i,
			.commit = m->disk[i].commit,
			.base_read = reader->read,
			.ctx = reader->ctx,
		};

		rc = open_disk(h, &cfg, err);
		if (!rc && disk_file_sectors(h->disk[i]) != m->disk[i].sectors)
			rc = rv_err_set(err, RV_ECHANGED,
					"%.300s: has %llu sectors, had %llu when it was recorded; say with "
					"--base=OLD=NEW where the recorded image is",
					cfg.path, (unsigned long long)disk_file_sectors(h->disk[i]),
					(unsigned long long)m->disk[i].sectors);
	}
	return rc;
}

int host_devices_start(struct host_devices *h, const char *trace_path, struct rv_err *err)
{
	char log[TRACE_PATH_MAX], before[TRACE_PATH_MAX];
	int rc = 0;

	for (unsigned i = 0; !rc && i < h->ndisks; i++) {
		if (trace_path && (trace_disk_log_path(trace_path, i, log) ||
				   trace_disk_before_path(trace_path, i, before)))
			return rv_err_set(err, RV_EINVAL, "%.300s: the name is too long", trace_path);
		rc = disk_file_start(h->disk[i], trace_path ? log : NULL, trace_path ? before : NULL, err);
	}
	for (unsigned i = 0; !rc && i < h->nnets; i++)
		rc = net_start(h->net[i], err);
	return rc;
}

int host_devices_sync(struct host_devices *h)
{
	int rc = RV_OK;

	for (unsigned i = 0; i < h->ndisks; i++) {
		int one = disk_file_sync(h->disk[i]);

		if (rc == RV_OK)
			rc = one;
	}
	return rc;
}

void host_devices_close_consoles(struct host_devices *h)
{
	for (unsigned i = 0; i < CONSOLES; i++) {
		console_destroy(h->console[i]);
		h->console[i] = NULL;
	}
}

void host_devices_close(struct host_devices *h)
{
	host_devices_close_consoles(h);
	while (h->nnets)
		net_destroy(h->net[--h->nnets]);
	while (h->ndisks)
		disk_file_destroy(h->disk[--h->ndisks]);
}

void host_devices_describe(const struct host_devices *h, const struct machine_opts *o,
			   struct machine_devices *out)
{
	*out = (struct machine_devices){ .ndisks = h->ndisks,
					 .nnets = h->nnets,
					 .console = o->devices.hvc != NULL,
					 .seed = o->seed,
					 .chaos = o->chaos,
					 .disks_by_clock = o->clock == LIVE_CLOCK_VIRTUAL };
	for (unsigned i = 0; i < h->ndisks; i++)
		out->disk[i] = (struct machine_disk){ .port = h->port[i],
						      .sectors = disk_file_sectors(h->disk[i]),
						      .readonly = o->devices.disk[i].readonly,
						      .commit = o->devices.disk[i].commit };
	for (unsigned i = 0; i < h->nnets; i++) {
		memcpy(out->net[i].mac, o->devices.net[i].mac, sizeof(out->net[i].mac));
		out->net[i].mtu = o->devices.net[i].mtu;
	}
}
