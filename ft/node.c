/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "node_int.h"

/* How long a machine that ended waits for its backup to have its end. */
#define FINISH_NS (5000 * MS)

void ft_node_wake(void *node)
{
	const struct ft_node *n = node;
	const uint64_t one = 1;
	int saved = errno; /* signal handlers call */
	(void)!write(n->wake_fd, &one, sizeof(one));
	errno = saved;
}

int ft_node_create(struct ft_node **out, const struct ft_node_cfg *cfg, struct rv_err *err)
{
	struct ft_node *n = calloc(1, sizeof(*n));
	pthread_condattr_t attr;
	if (!n)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	n->cfg = *cfg;
	ft_init(&n->state, !cfg->pairing);
	pthread_mutex_init(&n->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&n->changed, &attr);
	pthread_condattr_destroy(&attr);
	n->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->paused = !cfg->pairing;
	if (n->wake_fd < 0 || ft_stream_create(&n->stream, cfg->host, ft_node_wake, n) != RV_OK ||
	    (cfg->pairing && ft_follow_create(&n->follow, cfg->disks.supply, cfg->ctx) != RV_OK)) {
		ft_node_destroy(n);
		return rv_err_set(err, RV_ENOMEM, "out of memory for the pair");
	}
	if (cfg->pairing) {
		n->chan = cfg->pairing->channel;
		cfg->pairing->channel = NULL;
		memcpy(n->session, cfg->pairing->session, sizeof(n->session));
		snprintf(n->stats.peer, sizeof(n->stats.peer), "%s", channel_peer(n->chan));
	}
	*out = n;
	return RV_OK;
}

int ft_node_start(struct ft_node *n, struct rv_err *err)
{
	n->threaded = pthread_create(&n->thread, NULL, ft_link_main, n) == 0;
	return n->threaded ? RV_OK : rv_err_set(err, RV_ENOMEM, "no thread for the pair's link");
}

void ft_node_destroy(struct ft_node *n)
{
	if (!n)
		return;
	if (n->threaded) {
		atomic_store(&n->quit, true);
		ft_node_wake(n);
		pthread_join(n->thread, NULL);
	}
	channel_destroy(n->chan);
	ft_join_destroy(n->join);
	ft_follow_destroy(n->follow);
	ft_stream_destroy(n->stream);
	evlog_batch_fini(&n->batch);
	bytes_fini(&n->chunk);
	bytes_fini(&n->load.state);
	if (n->wake_fd >= 0)
		close(n->wake_fd);
	pthread_cond_destroy(&n->changed);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

struct evlog_sink *ft_node_sink(struct ft_node *n)
{
	return ft_stream_sink(n->stream);
}

struct output *ft_node_output(struct ft_node *n)
{
	return ft_stream_output(n->stream);
}

struct evlog_source *ft_node_source(struct ft_node *n)
{
	return ft_follow_source(n->follow);
}

bool ft_node_recording(const struct ft_node *n)
{
	return ft_stream_started(n->stream);
}

uint64_t ft_node_ticket(struct ft_node *n)
{
	const icount_t need = machine_icount(n->cfg.machine) + 1;
	ft_stream_ticket(n->stream, need);
	return need;
}

int ft_node_commit(struct ft_node *n, uint64_t ticket)
{
	return ft_stream_commit(n->stream, ticket);
}

/* ---- vCPU thread ---- */

/* Halted, and nothing is left to do for the machine: a backup whose primary ended replays to the end. */
static bool over_locked(const struct ft_node *n)
{
	return n->end != FT_END_NONE && n->end != FT_END_PEER_LEFT;
}

static void slice_locked(struct ft_node *n, const struct output_digest *sent)
{
	struct ft_join *j = n->join;
	n->want_slice = false;
	n->slicing = true;
	pthread_mutex_unlock(&n->lock);
	if (ft_join_slice(j, sent)) {
		n->cfg.joined(n->cfg.ctx);
		ft_stream_start(n->stream, machine_icount(n->cfg.machine));
	}
	pthread_mutex_lock(&n->lock);
	n->slicing = false;
	pthread_cond_broadcast(&n->changed);
	ft_node_wake(n);
}

/* Whatever was asked for is done by the time the pause begins: all of the log up to here is known. */
static int stand_locked(struct ft_node *n)
{
	struct evlog_sink *sink = ft_stream_sink(n->stream);
	live_pause(n->cfg.live);
	(void)sink->ops->reached(sink, machine_icount(n->cfg.machine));
	n->standing = true;
	ft_node_wake(n);
	while (n->paused && !over_locked(n) && !n->interrupted)
		pthread_cond_wait(&n->changed, &n->lock);
	n->standing = false;
	live_resume(n->cfg.live);
	return n->paused && !over_locked(n) ? RV_EINTR : RV_OK;
}

int ft_node_serve(struct ft_node *n, const struct output_digest *sent)
{
	int rc = RV_OK;
	pthread_mutex_lock(&n->lock);
	if (n->want_slice && n->join)
		slice_locked(n, sent);
	if (n->paused)
		rc = stand_locked(n);
	n->interrupted = false;
	if (over_locked(n))
		rc = RV_EEND;
	pthread_mutex_unlock(&n->lock);
	return rc;
}

int ft_node_load(struct ft_node *n, struct output_digest *sent)
{
	struct bytes_in in;
	int rc = RV_OK;
	pthread_mutex_lock(&n->lock);
	while (!n->load.complete && n->end == FT_END_NONE && !n->interrupted)
		pthread_cond_wait(&n->changed, &n->lock);
	n->interrupted = false;
	if (n->end != FT_END_NONE)
		rc = RV_EEND;
	else if (!n->load.complete)
		rc = RV_EINTR;
	pthread_mutex_unlock(&n->lock);
	if (rc != RV_OK)
		return rc;
	bytes_in_init(&in, n->load.state.data, n->load.state.len);
	rc = machine_load(n->cfg.machine, &in);
	if (rc == RV_OK && (machine_icount(n->cfg.machine) != n->load.at.at.icount ||
			    machine_seq(n->cfg.machine) != n->load.at.at.seq))
		rc = RV_EDAMAGED;
	if (rc != RV_OK)
		return rc;
	*sent = n->load.at.sent;
	rc = n->cfg.loaded(n->cfg.ctx);
	if (rc != RV_OK)
		return rc;
	machine_restart_io(n->cfg.machine);
	bytes_fini(&n->load.state);
	pthread_mutex_lock(&n->lock);
	n->loaded = true;
	pthread_mutex_unlock(&n->lock);
	ft_node_wake(n);
	return RV_OK;
}

int ft_node_go_live(struct ft_node *n)
{
	int rc;
	pthread_mutex_lock(&n->lock);
	n->want_live = true;
	ft_node_wake(n);
	while (!ft_is_live(&n->state) && n->end == FT_END_NONE)
		pthread_cond_wait(&n->changed, &n->lock);
	n->want_live = false;
	rc = n->end == FT_END_NONE ? RV_OK : RV_EEND;
	pthread_mutex_unlock(&n->lock);
	return rc;
}

/* Its own end is behind the last instruction: known is the number after it. */
void ft_node_finish(struct ft_node *n)
{
	struct evlog_sink *sink = ft_stream_sink(n->stream);
	struct timespec ts;
	int timed_out = 0;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += (time_t)(FINISH_NS / (1000 * MS));
	ft_stream_slow(n->stream, 0);
	(void)sink->ops->reached(sink, machine_icount(n->cfg.machine) + 1);
	pthread_mutex_lock(&n->lock);
	n->finish_at = machine_icount(n->cfg.machine) + 1;
	n->want_finish = true;
	ft_node_wake(n);
	while (n->want_finish && n->end == FT_END_NONE && !timed_out &&
	       (n->state.role == FT_PROTECTED || n->state.role == FT_DECIDING || n->state.role == FT_SWITCHING))
		timed_out = pthread_cond_timedwait(&n->changed, &n->lock, &ts);
	n->want_finish = false;
	pthread_mutex_unlock(&n->lock);
	ft_node_leave(n);
	pthread_mutex_lock(&n->lock);
	while (n->end == FT_END_NONE)
		pthread_cond_wait(&n->changed, &n->lock);
	pthread_mutex_unlock(&n->lock);
}

/* ---- any thread ---- */

void ft_node_stop(struct ft_node *n)
{
	atomic_store(&n->stop_asked, true);
	ft_node_wake(n);
}

void ft_node_leave(struct ft_node *n)
{
	atomic_store(&n->leave_asked, true);
	ft_node_wake(n);
}

void ft_node_say(struct ft_node *n, const char *text)
{
	pthread_mutex_lock(&n->lock);
	ft_text(n->say, (const uint8_t *)text, strlen(text));
	pthread_mutex_unlock(&n->lock);
}

int ft_node_switch(struct ft_node *n)
{
	bool can;
	pthread_mutex_lock(&n->lock);
	can = n->state.role == FT_PROTECTED;
	pthread_mutex_unlock(&n->lock);
	if (!can)
		return RV_ENOTSUP;
	atomic_store(&n->switch_asked, true);
	ft_node_wake(n);
	return RV_OK;
}

void ft_node_interrupt(struct ft_node *n)
{
	pthread_mutex_lock(&n->lock);
	n->interrupted = true;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->lock);
	if (n->follow)
		ft_follow_interrupt(n->follow);
}

void ft_node_stats(struct ft_node *n, struct ft_stats *out)
{
	struct ft_stream_stats s;
	pthread_mutex_lock(&n->lock);
	n->stats.role = n->state.role;
	n->stats.term = n->state.term;
	n->stats.end = n->end;
	*out = n->stats;
	pthread_mutex_unlock(&n->lock);
	ft_stream_stats(n->stream, &s);
	out->held = s.held;
	out->held_bytes = s.held_bytes;
}
