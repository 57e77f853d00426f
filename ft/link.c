/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link's thread of a node: messages in and out, timers, and the role
 * machine's events and actions. It alone steps the role machine.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "node_int.h"

#define LOG_PERIOD (10 * MS)        /* of a machine that moves, without an output to hurry for */
#define CONNECT_PERIOD (500 * MS)
#define RETRY_PERIOD (500 * MS)     /* an arbiter that could not be asked */
#define LOOK_PERIOD (2000 * MS)     /* is there a later term than ours? */
#define JOIN_SILENCE (30000 * MS)   /* while the state is on its way nothing is at stake but time */
#define BULK_ROOM (256u << 10)      /* of the state in the channel at once: what a heartbeat may wait behind */
#define UNSENT_MAX (4u << 20)       /* of the log */
#define ANNOUNCEMENTS 5u
#define FOLLOW_MAX (256u << 20)     /* of log that a backup has not replayed */
#define LAG_FREE 4u                 /* the guest is slowed from a quarter of --max-lag on */
#define SLOW_MOST 950u              /* thousandths, below the full --max-lag */

static void step(struct ft_node *n, enum ft_event_kind kind, uint64_t term);

static uint64_t timeout_ns(const struct ft_node *n)
{
	return n->cfg.timeout_ms * MS;
}

static bool is_backup(const struct ft_node *n)
{
	return n->state.role == FT_LOADING || n->state.role == FT_FOLLOWING || n->state.role == FT_TAKING ||
	       n->state.role == FT_FINISHING;
}

/* ---- the link's end ---- */

static void close_link(struct ft_node *n)
{
	ft_stream_stop(n->stream);
	channel_destroy(n->chan);
	n->chan = NULL;
	n->chan_dead = false;
	pthread_mutex_lock(&n->lock);
	while (n->slicing)
		pthread_cond_wait(&n->changed, &n->lock);
	ft_join_destroy(n->join);
	n->join = NULL;
	n->want_slice = false;
	n->stats.lag_ms = 0;
	n->stats.slowed_permille = 0;
	n->stats.peer[0] = '\0';
	pthread_mutex_unlock(&n->lock);
	/* A slice that ended just now may have begun a log that nobody wants. */
	ft_stream_stop(n->stream);
	n->connect_at = ft_now() + CONNECT_PERIOD;
}

static void put(struct ft_node *n, enum ft_msg type, const void *data, size_t len)
{
	if (n->chan && channel_put(n->chan, (uint8_t)type, data, len, NULL, 0) != RV_OK)
		n->chan_dead = true;
}

static void say_bye(struct ft_node *n)
{
	if (!n->chan)
		return;
	put(n, FT_MSG_BYE, n->say, strlen(n->say));
	(void)channel_flush_wait(n->chan, 300);
}

/* ---- actions ---- */

/* A frame may be lost, and a switch may be slow to come back. */
static void announce(struct ft_node *n)
{
	n->cfg.announce(n->cfg.ctx, n->announced == 0);
	n->announced++;
	n->announce_at = n->announced < ANNOUNCEMENTS ? n->announce_at + (50 * MS << n->announced) : 0;
}

static void begin_join(struct ft_node *n)
{
	struct ft_join *j = NULL;
	if (ft_join_create(&j, n->cfg.machine, n->cfg.disks.n) != RV_OK) {
		n->chan_dead = true;
		return;
	}
	n->join_all = n->protect_due = n->switch_due = false;
	n->number = n->crc = 0;
	n->sent_known = n->acked = 0;
	n->join_began = n->heard_at = ft_now();
	pthread_mutex_lock(&n->lock);
	n->join = j;
	n->want_slice = true;
	pthread_mutex_unlock(&n->lock);
	n->cfg.wanted(n->cfg.ctx);
}

static void set_paused(struct ft_node *n, bool paused)
{
	pthread_mutex_lock(&n->lock);
	n->paused = paused;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->lock);
	if (paused)
		n->cfg.wanted(n->cfg.ctx);
}

static enum ft_end end_of(const struct ft_node *n, enum ft_role from, enum ft_event_kind why)
{
	if (why == FT_EV_LEAVE)
		return FT_END_LEFT;
	if (why == FT_EV_MSG_TAKEN)
		return FT_END_SWITCHED;
	if (why == FT_EV_MSG_BYE && from == FT_FOLLOWING)
		return FT_END_PEER_LEFT;
	if (from == FT_LOADING || (from == FT_TAKING && n->follow))
		return FT_END_NO_PRIMARY;
	return FT_END_LOST;
}

static void act(struct ft_node *n, uint32_t actions, enum ft_role from, enum ft_event_kind why)
{
	/* Halted, the machine ends by itself at the next look: but a backup replays what it has to its end. */
	if ((actions & FT_DO_PAUSE) && !(actions & FT_DO_HALT))
		set_paused(n, true);
	if (actions & FT_DO_HOLD)
		ft_stream_hold(n->stream);
	if (actions & FT_DO_JOIN)
		begin_join(n);
	if (actions & FT_DO_SEND_PROTECT) {
		n->protect_due = true; /* when it has the log of all that left until now */
		n->lease_stamp = ft_now();
	}
	if (actions & FT_DO_SEND_SWITCH)
		n->switch_due = true; /* when the machine stands, and all of its log is sent */
	if (actions & FT_DO_SEND_TAKEN)
		put(n, FT_MSG_TAKEN, NULL, 0);
	if (actions & FT_DO_SEND_BYE)
		say_bye(n);
	if (actions & FT_DO_CLOSE) {
		if (n->chan)
			(void)channel_flush(n->chan);
		close_link(n);
	}
	if (actions & FT_DO_CLAIM)
		n->claim_pending = true;
	if (actions & FT_DO_RETRY)
		n->retry_at = ft_now() + RETRY_PERIOD;
	if (actions & FT_DO_FINISH) {
		/* The primary is dead, or fenced: a shared image is ours. */
		n->cfg.disks.stay(n->cfg.ctx);
		ft_follow_end(n->follow);
	}
	if (actions & FT_DO_RELEASE)
		ft_stream_release(n->stream);
	if (actions & FT_DO_ANNOUNCE) {
		n->announced = 0;
		n->announce_at = ft_now();
		announce(n);
	}
	if (actions & FT_DO_RUN)
		set_paused(n, false);
	if (actions & FT_DO_HALT) {
		ft_stream_discard(n->stream);
		if (n->follow) {
			n->cfg.disks.stay(n->cfg.ctx);
			ft_follow_end(n->follow);
		}
		pthread_mutex_lock(&n->lock);
		n->end = end_of(n, from, why);
		pthread_cond_broadcast(&n->changed);
		pthread_mutex_unlock(&n->lock);
		if (n->end != FT_END_PEER_LEFT)
			n->cfg.wanted(n->cfg.ctx);
	}
}

static double ms_since(uint64_t from)
{
	return (double)(ft_now() - from) / 1e6;
}

/* What a person, or a script that watches, wants to know of a change. */
static void tell(struct ft_node *n, enum ft_role from, const struct ft_state *to, enum ft_event_kind why)
{
	const char *peer = n->chan ? channel_peer(n->chan) : "the other half";
	if (to->role == from)
		return;
	switch (to->role) {
	case FT_SOLO:
		if (from == FT_CLAIMING)
			rv_log(RV_LOG_INFO, "ft: live (term %" PRIu64 "), without a backup yet", to->term);
		else if (from == FT_FINISHING)
			rv_log(RV_LOG_INFO, "ft: live (term %" PRIu64 "), %.0f ms after the primary was last heard of",
			       to->term, ms_since(n->lost_from));
		else if (from == FT_DECIDING)
			rv_log(RV_LOG_INFO, "ft: going on alone (term %" PRIu64 ")", to->term);
		else
			rv_log(RV_LOG_INFO, "ft: the backup is gone%s; going on alone (term %" PRIu64 ")",
			       from == FT_JOINING ? " before it had all" : "", to->term);
		break;
	case FT_JOINING:
		rv_log(RV_LOG_INFO, "ft: %s joins", peer);
		break;
	case FT_PROTECTED:
		rv_log(RV_LOG_INFO, "ft: protected by %s (term %" PRIu64 "), joined in %.1f s, paused for %.1f ms", peer,
		       to->term, ms_since(n->join_began) / 1e3, n->stats.join_pause_ms);
		break;
	case FT_DECIDING:
		rv_log(RV_LOG_INFO, "ft: lost the backup; asking the arbiter for term %" PRIu64, to->term + 1);
		break;
	case FT_SWITCHING:
		rv_log(RV_LOG_INFO, "ft: handing over to %s", peer);
		break;
	case FT_LOADING:
		rv_log(RV_LOG_INFO, "ft: joining %s (term %" PRIu64 ")", peer, to->term);
		break;
	case FT_FOLLOWING:
		rv_log(RV_LOG_INFO, "ft: following %s (term %" PRIu64 ")", peer, to->term);
		break;
	case FT_TAKING:
		rv_log(RV_LOG_INFO, "ft: %s; asking the arbiter for term %" PRIu64,
		       to->switching ? "asked to take over" : "lost the primary", to->term + 1);
		break;
	case FT_HALTED:
		if (why == FT_EV_LOST || why == FT_EV_SUPERSEDED)
			rv_log(RV_LOG_INFO, "ft: halted: the other half has a later term than %" PRIu64, to->term);
		else if (why == FT_EV_MSG_TAKEN)
			rv_log(RV_LOG_INFO, "ft: handed over to %s", peer);
		else if (why == FT_EV_LINK_LOST)
			rv_log(RV_LOG_INFO, "ft: lost the primary before all was here");
		break;
	default:
		break;
	}
}

static void step(struct ft_node *n, enum ft_event_kind kind, uint64_t term)
{
	const struct ft_event e = { kind, term };
	const enum ft_role from = n->state.role;
	struct ft_state next = n->state;
	uint32_t actions = ft_step(&next, &e);
	if (kind == FT_EV_LINK_LOST && from == FT_FOLLOWING) {
		n->lost_from = n->heard_at;
		n->stats.lost_ms = ms_since(n->lost_from);
	}
	if (kind == FT_EV_MSG_SWITCH)
		n->lost_from = ft_now();
	if (kind == FT_EV_WON && from == FT_TAKING)
		n->stats.won_ms = ms_since(n->lost_from);
	if (kind == FT_EV_LIVE && from == FT_FINISHING) {
		n->stats.live_ms = ms_since(n->lost_from);
		n->stats.failovers++;
	}
	tell(n, from, &next, kind);
	/* Outputs are held before anybody can see that we are protected, and let go before we are live. */
	act(n, actions, from, kind);
	pthread_mutex_lock(&n->lock);
	n->state = next;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->lock);
}

/* ---- the arbiter ---- */

static void ask_arbiter(struct ft_node *n)
{
	const uint64_t term = n->state.role == FT_CLAIMING ? 0 : n->state.term + 1;
	struct arbiter_reply r;
	int got;
	while ((got = arbiter_take(n->cfg.arbiter, &r)) > 0) {
		if (r.answer == ARBITER_UNREACHABLE)
			rv_log(RV_LOG_WARN, "ft: the arbiter: %s; waiting for it", r.text);
		/* The answer to a look is of interest only if it is bad news. */
		if (r.looked) {
			if (r.answer == ARBITER_LOST && ft_is_live(&n->state) && r.latest > n->state.term)
				step(n, FT_EV_SUPERSEDED, r.latest);
			continue;
		}
		step(n, r.answer == ARBITER_WON ? FT_EV_WON : r.answer == ARBITER_LOST ? FT_EV_LOST : FT_EV_UNREACHABLE,
		     r.term);
	}
	if (n->claim_pending &&
	    arbiter_claim(n->cfg.arbiter, term, n->cfg.fence && n->state.role == FT_TAKING) == RV_OK)
		n->claim_pending = false;
	if (ft_is_live(&n->state) && ft_now() >= n->look_at &&
	    arbiter_look(n->cfg.arbiter, n->state.term) == RV_OK)
		n->look_at = ft_now() + LOOK_PERIOD;
}

/* ---- primary ---- */

static void try_connect(struct ft_node *n)
{
	struct rv_err err = { 0 };
	int rc;
	if (getrandom(n->session, sizeof(n->session), 0) != (ssize_t)sizeof(n->session))
		return;
	rc = ft_call(&n->chan, &n->cfg, n->state.term, n->session, &err);
	n->connect_at = ft_now() + CONNECT_PERIOD;
	if (rc != RV_OK) {
		/* Once, not twice a second. */
		if (strncmp(err.text, n->connect_error, sizeof(n->connect_error) - 1) != 0)
			rv_log(RV_LOG_INFO, "ft: no backup yet: %s", err.text);
		snprintf(n->connect_error, sizeof(n->connect_error), "%s", err.text);
		return;
	}
	n->connect_error[0] = '\0';
	pthread_mutex_lock(&n->lock);
	snprintf(n->stats.peer, sizeof(n->stats.peer), "%s", channel_peer(n->chan));
	pthread_mutex_unlock(&n->lock);
	step(n, FT_EV_PEER, n->state.term);
}

/* Lag control: slower from a quarter of the limit on, standing at the limit. */
static void set_pace(struct ft_node *n, uint32_t lag_us)
{
	const uint64_t limit = n->cfg.max_lag_ms * 1000ull, free = limit / LAG_FREE;
	unsigned permille = 0;
	if (lag_us >= limit)
		permille = n->state.role == FT_PROTECTED ? 1000 : SLOW_MOST;
	else if (lag_us > free)
		permille = (unsigned)((lag_us - free) * SLOW_MOST / (limit - free));
	ft_stream_slow(n->stream, permille);
	pthread_mutex_lock(&n->lock);
	n->stats.lag_ms = lag_us / 1e3;
	n->stats.slowed_permille = permille;
	if (n->want_finish && n->acked >= n->finish_at) {
		n->want_finish = false;
		pthread_cond_broadcast(&n->changed);
	}
	pthread_mutex_unlock(&n->lock);
}

/* Until when the backup is sure not to take over, less a margin for what lies between this look and the network. */
static uint64_t lease_end(const struct ft_node *n)
{
	return n->lease_stamp + timeout_ns(n) - timeout_ns(n) / 8;
}

static void got_ack(struct ft_node *n, const struct channel_frame *f)
{
	struct ft_ack a;
	if (!ft_ack_decode(&a, f->data, f->len) || a.stamp > ft_now() || a.known > n->sent_known) {
		n->chan_dead = true;
		return;
	}
	if (a.stamp > n->lease_stamp)
		n->lease_stamp = a.stamp;
	if (a.known > n->acked)
		n->acked = a.known;
	if (ft_now() < lease_end(n))
		ft_stream_acked(n->stream, n->acked);
	set_pace(n, a.lag_us);
}

/* Puts what there is of the log, or a heartbeat, into the channel. */
static void send_log(struct ft_node *n)
{
	struct evlog_header h = { .number = n->number, .prev_crc = n->crc };
	uint8_t header[FT_LOG_HEADER];
	icount_t known;
	ft_stream_take(n->stream, &n->batch, &known);
	bytes_clear(&n->chunk);
	if (n->batch.n) {
		memcpy(h.id, n->session, sizeof(h.id));
		if (evlog_chunk_encode(&n->batch, &h, &n->chunk) != RV_OK) {
			n->chan_dead = true;
			return;
		}
		n->number++;
		n->crc = h.crc;
	}
	n->sent_known = known;
	n->log_at = ft_now();
	le64_put(header, known);
	le64_put(header + 8, n->log_at);
	if (channel_put(n->chan, FT_MSG_LOG, header, sizeof(header), n->chunk.data, n->chunk.len) != RV_OK)
		n->chan_dead = true;
	pthread_mutex_lock(&n->lock);
	n->stats.log_bytes += sizeof(header) + n->chunk.len + 5;
	pthread_mutex_unlock(&n->lock);
}

static void pump_join(struct ft_node *n)
{
	int rc;
	if (n->join_all)
		return;
	if (channel_unsent(n->chan) < BULK_ROOM) {
		rc = ft_join_pump(n->join, n->chan, &n->cfg.disks, n->cfg.ctx, BULK_ROOM);
		if (rc < 0)
			n->chan_dead = true;
		n->join_all = rc == 1;
	}
	if (n->join_all) {
		pthread_mutex_lock(&n->lock);
		n->stats.join_pause_ms = (double)ft_join_pause_ns(n->join) / 1e6;
		n->stats.join_ms = ms_since(n->join_began);
		pthread_mutex_unlock(&n->lock);
	}
	if (!n->join_all && !n->chan_dead && ft_join_wants_slice(n->join)) {
		bool ask;
		pthread_mutex_lock(&n->lock);
		ask = !n->want_slice && !n->slicing;
		n->want_slice = n->want_slice || ask;
		pthread_mutex_unlock(&n->lock);
		if (ask)
			n->cfg.wanted(n->cfg.ctx);
	}
}

/* Before the backup knows the position, a log means nothing to it. */
static bool log_may_go(const struct ft_node *n)
{
	return n->join ? ft_join_at_sent(n->join) : n->state.role != FT_SOLO;
}

static void pump_log(struct ft_node *n)
{
	const uint64_t now = ft_now(), beat = timeout_ns(n) / 10;
	struct ft_stream_stats s;
	if (!ft_stream_started(n->stream) || !log_may_go(n))
		return;
	if (channel_unsent(n->chan) > UNSENT_MAX)
		return;
	ft_stream_stats(n->stream, &s);
	if (ft_stream_urgent(n->stream) || now >= n->log_at + beat ||
	    (now >= n->log_at + (LOG_PERIOD < beat ? LOG_PERIOD : beat) && s.known != n->sent_known))
		send_log(n);
	if (n->protect_due && s.known >= s.loose) {
		/* All of it goes before the word: who has that may take over. */
		send_log(n);
		put(n, FT_MSG_PROTECT, NULL, 0);
		n->lease_stamp = ft_now();
		n->protect_due = false;
	}
	if (n->switch_due && !n->protect_due) {
		bool standing;
		pthread_mutex_lock(&n->lock);
		standing = n->standing;
		pthread_mutex_unlock(&n->lock);
		/* It is live as soon as it has this: nothing may be left that an acknowledgement could let go. */
		ft_stream_stats(n->stream, &s);
		if (standing && n->acked >= s.known && !s.held) {
			put(n, FT_MSG_SWITCH, NULL, 0);
			n->switch_due = false;
		}
	}
}

static void primary_frame(struct ft_node *n, const struct channel_frame *f)
{
	char text[FT_TEXT_MAX + 1];
	switch (f->type) {
	case FT_MSG_ACK:
		got_ack(n, f);
		break;
	case FT_MSG_READY:
		step(n, FT_EV_MSG_READY, 0);
		break;
	case FT_MSG_TAKEN:
		step(n, FT_EV_MSG_TAKEN, 0);
		break;
	case FT_MSG_BYE:
		ft_text(text, f->data, f->len);
		rv_log(RV_LOG_INFO, "ft: the backup leaves: %s", *text ? text : "no reason given");
		step(n, FT_EV_MSG_BYE, 0);
		break;
	default:
		rv_log(RV_LOG_WARN, "ft: the backup sends message %u, which is not for a primary", f->type);
		n->chan_dead = true;
	}
}

/* ---- backup ---- */

static void got_log(struct ft_node *n, const struct channel_frame *f)
{
	struct ft_log l;
	int rc = ft_log_decode(&l, f->data, f->len) && n->load.at_known ? ft_follow_put(n->follow, &l) : RV_EDAMAGED;
	if (rc != RV_OK) {
		rv_log(RV_LOG_WARN, "ft: the primary's log: %s", rc == RV_EDAMAGED ? "not what should come next" :
										rv_status_text(rc));
		n->chan_dead = true;
		return;
	}
	n->ack.stamp = l.stamp;
	n->ack_due = true;
	pthread_mutex_lock(&n->lock);
	n->stats.log_bytes += f->len + 5;
	pthread_mutex_unlock(&n->lock);
}

static void backup_frame(struct ft_node *n, const struct channel_frame *f)
{
	char text[FT_TEXT_MAX + 1];
	int rc;
	switch (f->type) {
	case FT_MSG_LOG:
		got_log(n, f);
		break;
	case FT_MSG_PROTECT:
		/* The primary's lease began when it sent this. */
		n->acked_at = ft_now();
		step(n, FT_EV_MSG_PROTECT, 0);
		break;
	case FT_MSG_SWITCH:
		step(n, FT_EV_MSG_SWITCH, 0);
		break;
	case FT_MSG_BYE:
		ft_text(text, f->data, f->len);
		rv_log(RV_LOG_INFO, "ft: the primary leaves: %s", *text ? text : "its machine ended");
		step(n, FT_EV_MSG_BYE, 0);
		break;
	default:
		rc = ft_load_message(n, f);
		if (rc != RV_OK) {
			rv_log(RV_LOG_WARN, "ft: message %u of the primary: %s", f->type,
			       rc == RV_EDAMAGED ? "not what should come next" : rv_status_text(rc));
			n->chan_dead = true;
		}
	}
}

static void send_ack(struct ft_node *n)
{
	uint8_t out[FT_ACK_LEN];
	struct ft_follow_stats s;
	bool loaded;
	ft_follow_stats(n->follow, &s);
	pthread_mutex_lock(&n->lock);
	loaded = n->loaded;
	n->stats.lag_ms = s.lag_us / 1e3;
	pthread_mutex_unlock(&n->lock);
	n->ack.known = s.known;
	n->ack.replayed = s.replayed;
	n->ack.lag_us = s.lag_us;
	ft_ack_encode(&n->ack, out);
	put(n, FT_MSG_ACK, out, sizeof(out));
	n->ack_due = false;
	n->acked_at = ft_now();
	/* Not before the replay is near: a takeover would take as long as it is behind. */
	if (!n->ready_sent && loaded && n->state.role == FT_LOADING && s.lag_us <= n->cfg.max_lag_ms * 500u) {
		put(n, FT_MSG_READY, NULL, 0);
		n->ready_sent = true;
	}
}

/* ---- the loop ---- */

static void receive(struct ft_node *n)
{
	struct channel_frame f;
	int rc = 0;
	/* More than this waits for the replay only if the primary does not slow down as it should. */
	if (n->follow && is_backup(n)) {
		struct ft_follow_stats s;
		ft_follow_stats(n->follow, &s);
		if (s.bytes > FOLLOW_MAX)
			return;
	}
	while (n->chan && !n->chan_dead && (rc = channel_get(n->chan, &f)) == 1) {
		n->heard_at = ft_now();
		if (is_backup(n))
			backup_frame(n, &f);
		else
			primary_frame(n, &f);
	}
	if (n->chan && rc < 0)
		n->chan_dead = true;
	if (n->chan && !n->chan_dead && n->ack_due)
		send_ack(n);
}

static void check_primary_link(struct ft_node *n)
{
	const uint64_t now = ft_now();
	const bool joining = n->state.role == FT_JOINING;
	if (n->chan_dead || (joining ? now > n->heard_at + JOIN_SILENCE :
				       now >= n->lease_stamp + timeout_ns(n)))
		step(n, FT_EV_LINK_LOST, 0);
}

/* The primary may count on us until `timeout` after our last acknowledgement, whatever became of the link. */
static void check_backup_link(struct ft_node *n)
{
	const uint64_t now = ft_now();
	if (n->state.role == FT_LOADING) {
		if (n->chan_dead || now > n->heard_at + JOIN_SILENCE)
			step(n, FT_EV_LINK_LOST, 0);
	} else if (n->state.role == FT_FOLLOWING && now >= n->acked_at + timeout_ns(n)) {
		step(n, FT_EV_LINK_LOST, 0);
	}
}

static void check_asked(struct ft_node *n)
{
	bool want_live;
	if (atomic_exchange(&n->stop_asked, false)) {
		if (ft_is_live(&n->state))
			live_stop(n->cfg.live);
		else
			step(n, FT_EV_LEAVE, 0);
	}
	if (atomic_exchange(&n->leave_asked, false))
		step(n, FT_EV_LEAVE, 0);
	if (atomic_exchange(&n->switch_asked, false))
		step(n, FT_EV_SWITCH, 0);
	pthread_mutex_lock(&n->lock);
	want_live = n->want_live;
	pthread_mutex_unlock(&n->lock);
	if (want_live && n->state.role == FT_FINISHING)
		step(n, FT_EV_LIVE, 0);
}

static int next_timeout_ms(const struct ft_node *n)
{
	if (n->chan && (n->state.role == FT_PROTECTED || n->state.role == FT_JOINING || n->state.role == FT_SWITCHING))
		return 5;
	if (n->state.role == FT_FOLLOWING) {
		uint64_t now = ft_now(), due = n->acked_at + timeout_ns(n);
		return due > now ? (int)((due - now) / MS) + 1 : 0;
	}
	return 50;
}

static void wait_for_something(struct ft_node *n)
{
	struct pollfd p[3] = { { .fd = n->wake_fd, .events = POLLIN },
			       { .fd = arbiter_fd(n->cfg.arbiter), .events = POLLIN },
			       { .fd = -1 } };
	uint64_t count;
	if (n->chan && !n->chan_dead)
		p[2] = (struct pollfd){ .fd = channel_fd(n->chan), .events = channel_events(n->chan) };
	if (poll(p, RV_ARRAY_LEN(p), next_timeout_ms(n)) > 0 && p[0].revents)
		(void)!read(n->wake_fd, &count, sizeof(count));
}

static void look_around(struct ft_node *n)
{
	check_asked(n);
	receive(n);
	ask_arbiter(n);
	if (n->retry_at && ft_now() >= n->retry_at) {
		n->retry_at = 0;
		step(n, FT_EV_RETRY, 0);
	}
	if (n->announce_at && ft_now() >= n->announce_at)
		announce(n);
	if (n->state.role == FT_SOLO && n->cfg.peer && !n->chan && ft_now() >= n->connect_at)
		try_connect(n);
	if (n->chan && !is_backup(n)) {
		if (n->state.role == FT_JOINING)
			pump_join(n);
		if (n->chan && !n->chan_dead)
			pump_log(n);
	}
	if (n->chan && !n->chan_dead && channel_flush(n->chan) != RV_OK)
		n->chan_dead = true;
	if (n->chan && channel_bytes_sent(n->chan) != n->moved) {
		n->moved = channel_bytes_sent(n->chan);
		if (n->state.role == FT_JOINING)
			n->heard_at = ft_now(); /* it takes what we send */
	}
	if (n->chan && (n->state.role == FT_JOINING || n->state.role == FT_PROTECTED || n->state.role == FT_SWITCHING))
		check_primary_link(n);
	if (is_backup(n))
		check_backup_link(n);
}

void *ft_link_main(void *node)
{
	struct ft_node *n = node;
	n->heard_at = n->acked_at = ft_now();
	if (n->follow)
		step(n, FT_EV_PEER, n->cfg.pairing->term);
	else
		step(n, FT_EV_START, 0);
	while (!atomic_load(&n->quit) && n->state.role != FT_HALTED) {
		look_around(n);
		if (n->state.role != FT_HALTED)
			wait_for_something(n);
	}
	return NULL;
}
