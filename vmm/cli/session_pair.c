/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of a hot-standby pair. A primary is a live session whose recorder
 * writes into a node (ft/node.h). A backup is a replay whose log comes out of
 * one, with the host's devices already there; when it goes live the gates are
 * turned to its own recorder, and from then on it is a primary.
 *
 *   primary   live ports -> recorder -> node ~~> log ~~> node -> replayer -> machine   backup
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "cpu/model.h"
#include "ft/node.h"
#include "manifest.h"
#include "metrics.h"
#include "session_int.h"
#include "signals.h"

#define LINK_NICE (-10) /* of the link's thread, which must be on time */

struct pair {
	struct channel_auth *auth;
	struct channel_addr *peer, *listen;
	int listen_fd;
	struct arbiter *arbiter;
	struct ft_offer offer;
	struct trace_manifest manifest; /* primary */
	struct ft_pairing *pairing;     /* backup */
	struct ft_node *node;
	pthread_mutex_t lock;           /* node, for the metrics' thread */
	struct metrics *metrics;
	struct output_digest sent;      /* backup: where its history begins */
};

/* ---- what a node asks of us ---- */

static void pair_wanted(void *ctx)
{
	session_ask(ctx, ASK_PAIR);
}

/* RARP (RFC 903) with our own address, as a machine that moved sends it: switches learn the port anew. */
static void send_rarp(struct net *net, const uint8_t mac[6])
{
	static const uint8_t head[] = { 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3 };
	uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	memcpy(frame + 6, mac, 6);
	memcpy(frame + 12, head, sizeof(head));
	memcpy(frame + 22, mac, 6);
	memcpy(frame + 32, mac, 6);
	net_send(net, frame, sizeof(frame));
}

static void pair_announce(void *ctx, bool first)
{
	struct session *s = ctx;

	for (unsigned i = 0; i < s->host.nnets; i++) {
		net_set_link(s->host.net[i], true);
		send_rarp(s->host.net[i], s->opts->devices.net[i].mac);
	}
	if (first)
		live_announce(s->live, s->host.nnets);
}

static int pair_disk_read(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, uint8_t *data)
{
	return disk_file_log_read(((struct session *)ctx)->host.disk[disk], block, nblocks, data);
}

static int pair_disk_write(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, const uint8_t *data)
{
	return disk_file_log_write(((struct session *)ctx)->host.disk[disk], block, nblocks, data);
}

static int pair_disk_digests(void *ctx, unsigned disk, struct bytes *out)
{
	return disk_file_digests(((struct session *)ctx)->host.disk[disk], FT_REGION, out);
}

static int pair_disk_base(void *ctx, unsigned disk, uint64_t at, uint32_t len, uint8_t *data)
{
	return disk_file_base_read(((struct session *)ctx)->host.disk[disk], at, len, data);
}

/* A backup before its primary's machine comes: the image becomes like the primary's. */
static int pair_seed(void *ctx, unsigned disk, uint64_t at, uint32_t len, const uint8_t *data)
{
	return disk_file_base_write(((struct session *)ctx)->host.disk[disk], at, len, data);
}

static int settle_block(void *ctx, uint64_t block, bool zero, uint64_t log)
{
	return disk_file_settle(ctx, block, zero, log);
}

/* ---- shared disks ---- */

/* A backup cannot read the image: it is ahead of it. So it gets what was read. */
int session_pair_base_read(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, const uint8_t *data)
{
	struct session *s = ctx;
	const struct exec_point at = { machine_icount(s->machine), machine_seq(s->machine) };

	if (!s->opts->devices.disk[disk].shared || s->replayer || !ft_node_recording(s->pair->node))
		return RV_OK;
	return recorder_base_data(s->recorder, at, disk, block, nblocks, data);
}

uint64_t session_pair_ticket(void *ctx)
{
	return ft_node_ticket(((struct session *)ctx)->pair->node);
}

int session_pair_commit(void *ctx, uint64_t ticket)
{
	return ft_node_commit(((struct session *)ctx)->pair->node, ticket);
}

static int pair_supply(void *ctx, unsigned disk, uint64_t block, uint32_t nblocks, const uint8_t *data)
{
	struct session *s = ctx;

	return disk < s->host.ndisks ? disk_file_supply(s->host.disk[disk], block, nblocks, data) : RV_EDAMAGED;
}

static void pair_stay(void *ctx)
{
	struct session *s = ctx;

	for (unsigned i = 0; i < s->host.ndisks; i++)
		disk_file_stay(s->host.disk[i]);
}

static void pair_joined(void *ctx)
{
	recorder_base_forget(((struct session *)ctx)->recorder);
}

/* With commit=on the image has what the guest wrote before this half joined. */
static int pair_loaded(void *ctx)
{
	struct session *s = ctx;
	int rc = RV_OK;

	for (unsigned i = 0; rc == RV_OK && i < s->host.ndisks; i++) {
		if (!s->opts->devices.disk[i].commit || s->opts->devices.disk[i].shared)
			continue;
		rc = machine_disk_each(s->machine, i, settle_block, s->host.disk[i]);
		if (rc == RV_OK)
			rc = disk_file_base_sync(s->host.disk[i]);
	}
	return rc;
}

/* ---- figures ---- */

static const char *role_text(unsigned role)
{
	return ft_role_text((enum ft_role)role);
}

static void pair_render(void *ctx, struct bytes *out)
{
	struct pair *p = ctx;
	struct ft_stats st = { .role = FT_WAITING };

	pthread_mutex_lock(&p->lock);
	if (p->node)
		ft_node_stats(p->node, &st);
	pthread_mutex_unlock(&p->lock);
	metrics_put_state(out, "role", "What this half of the pair is.", role_text, FT_HALTED + 1, st.role);
	metrics_put(out, "term", "gauge", "The term of the live half, as far as is known.", (double)st.term);
	metrics_put(out, "lag_seconds", "gauge", "How far the backup's replay is behind.", st.lag_ms / 1e3);
	metrics_put(out, "slowed_ratio", "gauge", "Share of its time that the guest is held up for the backup.",
		    st.slowed_permille / 1e3);
	metrics_put(out, "log_bytes", "counter", "Event log sent or received.", (double)st.log_bytes);
	metrics_put(out, "held_outputs", "gauge", "Outputs that wait for the backup.", (double)st.held);
	metrics_put(out, "held_bytes", "gauge", "Bytes of them.", (double)st.held_bytes);
	metrics_put(out, "join_pause_seconds", "gauge", "Longest stop of the guest when a backup joined last.",
		    st.join_pause_ms / 1e3);
	metrics_put(out, "failovers", "counter", "Times this process took over.", (double)st.failovers);
}

/* ---- opening ---- */

int session_pair_prepare(struct session *s, const struct machine_opts *o, struct rv_err *err)
{
	const struct pair_opts *p = o->pair;
	char host[65] = "?", who[128];
	struct arbiter_cfg cfg = { .spec = p->arbiter, .pair = p->pair, .fence = p->fence, .who = who };
	struct pair *pair = calloc(1, sizeof(*pair));
	int rc;

	if (!pair)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	s->pair = pair;
	pair->listen_fd = -1;
	pthread_mutex_init(&pair->lock, NULL);
	rv_log_set_level(RV_LOG_INFO);
	gethostname(host, sizeof(host) - 1);
	snprintf(who, sizeof(who), "%s %d", host, (int)getpid());
	rc = channel_auth_create(&pair->auth, &p->auth, err);
	if (!rc && p->backup)
		rc = channel_addr_create(&pair->peer, p->backup, err);
	if (!rc && p->listen)
		rc = channel_addr_create(&pair->listen, p->listen, err);
	if (!rc && p->listen && (pair->listen_fd = channel_listen(pair->listen, err)) < 0)
		rc = err->code;
	/* A process of its own: before there are threads. */
	if (!rc)
		rc = arbiter_create(&pair->arbiter, &cfg, err);
	if (!rc && p->metrics) {
		const struct metrics_cfg mcfg = { .addr = p->metrics, .render = pair_render, .ctx = pair };

		rc = metrics_create(&pair->metrics, &mcfg, err);
	}
	/* Threads inherit it; the vCPU thread gives it back. Without the right all stays as it is. */
	(void)setpriority(PRIO_PROCESS, 0, LINK_NICE);
	return rc;
}

/* The node, and a recorder that writes into it. */
static int pair_open(struct session *s, const struct machine_opts *o, const struct trace_manifest *manifest,
		     const void *kernel, const void *initrd, struct rv_err *err)
{
	struct pair *p = s->pair;
	struct ft_node_cfg cfg = {
		.pair = o->pair->pair,
		.auth = p->auth,
		.peer = p->peer,
		.arbiter = p->arbiter,
		.timeout_ms = o->pair->timeout_ms,
		.max_lag_ms = o->pair->max_lag_ms,
		.machine = s->machine,
		.live = s->live,
		.host = &s->host.output,
		.manifest = manifest,
		.kernel = kernel,
		.initrd = initrd,
		.disks = { .n = s->host.ndisks, .read = pair_disk_read, .write = pair_disk_write,
			   .digests = pair_disk_digests, .base = pair_disk_base, .supply = pair_supply,
			   .stay = pair_stay },
		.fence = o->pair->fence != NULL,
		.pairing = p->pairing,
		.loaded = pair_loaded,
		.joined = pair_joined,
		.wanted = pair_wanted,
		.announce = pair_announce,
		.ctx = s,
	};
	struct ft_node *node = NULL;
	int rc;

	for (unsigned i = 0; i < s->host.ndisks; i++)
		cfg.disks.shared[i] = o->devices.disk[i].shared;
	rc = ft_node_create(&node, &cfg, err);

	pthread_mutex_lock(&p->lock);
	p->node = node;
	pthread_mutex_unlock(&p->lock);
	if (!rc && (rc = recorder_create(&s->recorder, live_nondet(s->live), ft_node_output(p->node),
					 ft_node_sink(p->node))))
		rv_err_set(err, rc, "cannot make the recorder: %s", rv_status_text(rc));
	if (!rc)
		rc = ft_node_start(p->node, err);
	(void)setpriority(PRIO_PROCESS, 0, 0);
	return rc;
}

static int live_mark(void *ctx, struct machine *m)
{
	struct session *s = ctx;

	return ft_node_recording(s->pair->node) ? recorder_mark(s->recorder, m) : RV_OK;
}

/* From here on this half's machine listens to its own host. */
static void pair_turn_live(struct session *s)
{
	s->gate.to_nondet = recorder_nondet(s->recorder);
	s->gate_out.to_output = recorder_output(s->recorder);
	s->limits.mark = live_mark;
}

int session_pair_primary(struct session *s, const struct machine_opts *o, struct rv_err *err)
{
	struct machine_devices devices;
	int rc;

	host_devices_describe(&s->host, o, &devices);
	rc = manifest_fill(&s->pair->manifest, o, &devices, s->kernel.len, s->initrd.len, SESSION_DIGEST_EVERY, err);
	if (!rc && s->pair->metrics)
		rc = metrics_start(s->pair->metrics, err);
	if (!rc)
		rc = pair_open(s, o, &s->pair->manifest, s->kernel.data, s->initrd.data, err);
	if (rc)
		return rc;
	s->limits.mark_every = SESSION_DIGEST_EVERY;
	s->limits.ctx = s;
	pair_turn_live(s);
	return 0;
}

/* ---- a backup ---- */

static void stop_waiting(void *ctx)
{
	(void)ctx; /* signals_stop_seen() says it */
}

static int make_offer(struct session *s, const struct machine_opts *o, struct rv_err *err)
{
	struct ft_offer *f = &s->pair->offer;
	int rc = 0;

	*f = (struct ft_offer){ .pair = o->pair->pair,
				.console = o->devices.hvc != NULL,
				.ndisks = s->host.ndisks,
				.nnets = s->host.nnets,
				.seed = pair_seed,
				.ctx = s };
	for (unsigned i = 0; !rc && i < f->ndisks; i++) {
		f->sectors[i] = disk_file_sectors(s->host.disk[i]);
		f->commit[i] = o->devices.disk[i].commit;
		f->shared[i] = o->devices.disk[i].shared;
		if (f->shared[i])
			continue;
		rc = disk_file_digests(s->host.disk[i], FT_REGION, &f->digests[i]);
		if (rc)
			rv_err_set(err, rc, "--disk=%.300s: %s", o->devices.disk[i].path, rv_status_text(rc));
	}
	return rc;
}

/* Caches of shared disks: files, and so before the fence. */
int session_pair_follow(struct session *s, const struct machine_opts *o, struct rv_err *err)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < s->host.ndisks; i++)
		if (o->devices.disk[i].shared)
			rc = disk_file_follow(s->host.disk[i], err);
	return rc;
}

/* Until a primary calls that fits. RV_EINTR: we are to stop. */
static int wait_for_primary(struct session *s, struct rv_err *err)
{
	struct pair *p = s->pair;

	rv_log(RV_LOG_INFO, "ft: waiting for a primary at %s", channel_addr_text(p->listen));
	signals_set_stop(stop_waiting, NULL);
	while (!p->pairing) {
		struct pollfd fd = { .fd = p->listen_fd, .events = POLLIN };
		struct rv_err why = { 0 };

		if (signals_stop_seen()) {
			signals_set_stop(NULL, NULL);
			return rv_err_set(err, RV_EINTR, "stopped");
		}
		session_answer_asked(s);
		if (poll(&fd, 1, 200) > 0 && ft_accept(&p->pairing, p->auth, p->listen_fd, &p->offer, &why))
			rv_log(RV_LOG_INFO, "ft: %s", why.text);
	}
	signals_set_stop(NULL, NULL);
	close(p->listen_fd); /* one primary at a time */
	p->listen_fd = -1;
	return 0;
}

static int backup_machine(struct session *s, struct machine_opts *o, struct rv_err *err)
{
	const struct ft_pairing *p = s->pair->pairing;
	const struct trace_manifest *m = ft_pairing_manifest(p);
	struct machine_cfg cfg;

	if (m->clock_virtual || strcmp(m->result_profile, CPU_RESULT_PROFILE) != 0)
		return rv_err_set(err, RV_ENOTSUP, "the primary's machine is none for a pair");
	machine_opts_adopt(o, m);
	replay_machine_cfg(m, ft_pairing_kernel(p), ft_pairing_initrd(p), s->host.port, &cfg);
	for (unsigned i = 0; i < m->ndisks; i++)
		if (m->disk[i].commit != s->pair->offer.commit[i] || m->disk[i].sectors != disk_file_sectors(s->host.disk[i]))
			return rv_err_set(err, RV_EINVAL, "disk %u is not the primary's", i);
	cfg.jit = o->jit.jit;
	cfg.code_cache = o->jit.code_cache;
	cfg.nondet = &s->gate.nondet;
	cfg.output = &s->gate_out.output;
	return machine_create(&s->machine, &cfg, err);
}

static int backup_mark(void *ctx, struct machine *m)
{
	struct session *s = ctx;
	int rc = replayer_mark(s->replayer, m);

	/* The log may end where a digest would be. */
	return rc == RV_EEND ? RV_OK : rc;
}

int session_pair_backup(struct session *s, struct machine_opts *o, struct rv_err *err)
{
	struct pair *p = s->pair;
	int rc = make_offer(s, o, err);

	if (!rc && p->metrics)
		rc = metrics_start(p->metrics, err);
	if (!rc)
		rc = wait_for_primary(s, err);
	if (!rc)
		rc = backup_machine(s, o, err);
	if (!rc)
		rc = host_devices_start(&s->host, NULL, err);
	for (unsigned i = 0; !rc && i < s->host.nnets; i++)
		net_set_link(s->host.net[i], false);
	if (!rc)
		rc = pair_open(s, o, ft_pairing_manifest(p->pairing), ft_pairing_kernel(p->pairing),
			       ft_pairing_initrd(p->pairing), err);
	if (rc)
		return rc;
	s->limits.mark_every = ft_pairing_manifest(p->pairing)->digest_every;
	s->limits.mark = backup_mark;
	s->limits.ctx = s;
	return 0;
}

/* The state comes in, and the replay of what follows can begin. */
static int backup_begin(struct session *s)
{
	struct pair *p = s->pair;
	int rc;

	while ((rc = ft_node_load(p->node, &p->sent)) == RV_EINTR)
		session_answer_asked(s);

	if (!rc)
		rc = replayer_create(&s->replayer, ft_node_source(p->node), &s->host.output);
	if (rc)
		return rc;
	replayer_resume(s->replayer, &p->sent, machine_icount(s->machine));
	s->gate.to_nondet = replayer_nondet(s->replayer);
	s->gate_out.to_output = replayer_output(s->replayer);
	return 0;
}

/* ---- running ---- */

static const struct output_digest *pair_sent(const struct session *s)
{
	return s->replayer ? replayer_sent(s->replayer) : recorder_sent(s->recorder);
}

/* The log ends here: this half is the primary now, if the arbiter said so. */
static int go_live(struct session *s)
{
	int rc = ft_node_go_live(s->pair->node);

	for (unsigned i = 0; !rc && i < s->host.ndisks; i++)
		rc = disk_file_live(s->host.disk[i]);
	if (rc)
		return rc;
	recorder_resume(s->recorder, replayer_sent(s->replayer));
	replayer_destroy(s->replayer);
	s->replayer = NULL;
	pair_turn_live(s);
	return 0;
}

/* A backup that cannot follow any more says why, and leaves. */
static void backup_gives_up(struct session *s, int rc, const struct machine_result *result)
{
	struct rv_err why = { 0 };

	if (replayer_finish(s->replayer, s->machine, rc, result, &why) == RV_OK)
		rv_err_set(&why, rc, "%s", rv_status_text(rc));
	if (why.code == RV_EDIVERGED)
		fputs(replayer_report(s->replayer), stderr);
	ft_node_say(s->pair->node, why.text);
	ft_node_leave(s->pair->node);
}

static int run_stretches(struct session *s, struct machine_result *result)
{
	for (;;) {
		int rc = ft_node_serve(s->pair->node, pair_sent(s));

		if (rc == RV_OK)
			rc = machine_run(s->machine, &s->limits, result);
		else if (rc == RV_EEND)
			return rc;
		if (rc == RV_EINTR || (rc == RV_OK && result->end == MACHINE_END_INTERRUPTED)) {
			session_answer_asked(s);
			continue;
		}
		if (!s->replayer)
			return rc;
		/* A backup whose guest ended itself has replayed all there was. */
		if (rc == RV_EEND)
			rc = go_live(s);
		else
			return rc;
		if (rc)
			return rc;
	}
}

int session_pair_run(struct session *s, struct machine_result *result)
{
	struct ft_node *n = s->pair->node;
	int rc = s->pair->pairing ? backup_begin(s) : 0;

	if (!rc)
		rc = run_stretches(s, result);
	if (rc == RV_OK && !s->replayer) {
		rc = recorder_end(s->recorder, s->machine, result);
		ft_node_finish(n);
	} else if (s->replayer && rc != RV_EEND) {
		const struct machine_result end = *result;

		if (rc)
			backup_gives_up(s, rc, &end);
		else if ((rc = replayer_finish(s->replayer, s->machine, rc, &end, NULL)))
			backup_gives_up(s, rc, &end);
	} else if (rc != RV_EEND) {
		ft_node_say(n, rv_status_text(rc));
		ft_node_leave(n);
	}
	return rc == RV_EEND ? RV_OK : rc;
}

int session_pair_end(const struct session *s, int rc, struct rv_err *err)
{
	struct ft_stats st;

	ft_node_stats(s->pair->node, &st);
	if (rc == RV_EDIVERGED && s->replayer)
		return rv_err_set(err, rc, "the replay of the primary's machine diverged: no backup any more");
	if (rc)
		return session_live_failed(s, rc, err);
	if (st.end == FT_END_LOST || st.end == FT_END_NO_PRIMARY)
		return rv_err_set(err, RV_EHALTED, "halted: %s", st.end == FT_END_LOST ?
				  "the other half of the pair is live" : "no primary any more, and not its successor");
	return 0;
}

void session_pair_stop(void *ctx)
{
	ft_node_stop(((struct session *)ctx)->pair->node);
}

void session_pair_interrupt(struct session *s)
{
	if (s->pair->node)
		ft_node_interrupt(s->pair->node);
}

int session_pair_switch(struct session *s, struct rv_err *err)
{
	return ft_node_switch(s->pair->node) ? rv_err_set(err, RV_ENOTSUP, "switch: not protected by a backup now") : 0;
}

void session_pair_stats(struct session *s, struct bytes *out)
{
	struct ft_stats st;

	ft_node_stats(s->pair->node, &st);
	bytes_put_text(out, ", \"ft\": {\"role\": \"%s\", \"term\": %" PRIu64 ", \"peer\": \"%s\", \"lag_ms\": %.3f, "
		       "\"slowed_permille\": %u, \"log_bytes\": %" PRIu64 ", \"held_outputs\": %" PRIu64
		       ", \"held_bytes\": %" PRIu64 ", ", ft_role_text(st.role), st.term, st.peer, st.lag_ms,
		       st.slowed_permille, st.log_bytes, st.held, st.held_bytes);
	bytes_put_text(out, "\"last_join_pause_ms\": %.3f, \"last_join_ms\": %.3f, \"failovers\": %" PRIu64
		       ", \"failover\": {\"lost_ms\": %.3f, \"won_ms\": %.3f, \"live_ms\": %.3f}}", st.join_pause_ms,
		       st.join_ms, st.failovers, st.lost_ms, st.won_ms, st.live_ms);
}

void session_pair_close(struct session *s)
{
	struct pair *p = s->pair;

	if (!p)
		return;
	metrics_destroy(p->metrics);
	ft_node_destroy(p->node);
	arbiter_destroy(p->arbiter);
	ft_pairing_destroy(p->pairing);
	trace_manifest_fini(&p->manifest);
	for (unsigned i = 0; i < DISKS_MAX; i++)
		bytes_fini(&p->offer.digests[i]);
	if (p->listen_fd >= 0)
		close(p->listen_fd);
	channel_addr_destroy(p->peer);
	channel_addr_destroy(p->listen);
	channel_auth_destroy(p->auth);
	pthread_mutex_destroy(&p->lock);
	free(p);
	s->pair = NULL;
}
