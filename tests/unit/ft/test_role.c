/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every reachable state of two halves, their link and the arbiter, breadth
 * first. The world may do its worst at every step: cut the link with whatever
 * is on its way, let either half die and come back as a fresh backup, let one
 * hang (it is simply not asked), lose an answer of the arbiter, let somebody
 * ask for a switch-over or an end. Checked in each state:
 *
 *   - an output leaves only from the half that went live last;
 *   - a half that goes live holds the log of every output that ever left;
 *   - no term is given to two, none is held by two live halves, and each new
 *     owner's term is higher;
 *   - a half that can do nothing is one that waits for a primary, or an
 *     operator.
 *
 * That the checker can fail is shown by step functions with a mistake each.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "ft/role.h"

#define HALVES 2u
#define TERMS 4u
#define OUTPUTS 2u
#define QUEUE 3u
#define RESTARTS 1u
#define NOBODY 255u

enum message { MSG_NONE, MSG_STATE, MSG_LOG, MSG_ACK, MSG_STALE_ACK, MSG_READY, MSG_PROTECT, MSG_SWITCH, MSG_TAKEN, MSG_BYE };

struct packet {
	uint8_t kind, n;
};

struct half {
	uint8_t up, role, term, switching;
	uint8_t linked;   /* its end of the link is open */
	uint8_t pos;      /* outputs made, or those whose log it holds */
	uint8_t acked, held, paused, streaming;
	uint8_t loaded, ready_sent, finish;
	uint8_t claim, retry;
	uint8_t life;     /* which incarnation */
	uint8_t discard, switch_due;
};

struct world {
	struct half h[HALVES];
	struct packet q[HALVES][QUEUE]; /* to half i */
	uint8_t len[HALVES];
	uint8_t cut;     /* nothing is delivered any more on this link */
	uint8_t lease;   /* the primary's */
	uint8_t overdue; /* the backup's last acknowledgement is `timeout` old */
	uint8_t owner;   /* who went live last */
	uint8_t owner_term;
	uint8_t released; /* outputs that ever left */
	uint8_t restarts;
	uint8_t grants[TERMS + 1]; /* half | life << 1, or NOBODY */
	uint8_t wrong;   /* an invariant that the step into this state broke */
};

enum { WRONG_TWO = 1, WRONG_LOST, WRONG_TERM, WRONG_STUCK };
static const char *const wrong_text[] = { "", "an output left from a half that is not the live one",
					  "a half went live without the log of an output that had left",
					  "a term was used twice, or went down", "a half is stuck" };

typedef uint32_t step_fn(struct ft_state *s, const struct ft_event *e);

static uint8_t ident(const struct world *w, unsigned i)
{
	return (uint8_t)(i | w->h[i].life << 1);
}

static void send_to(struct world *w, unsigned to, enum message kind, uint8_t n)
{
	if (!w->cut && w->h[1 - to].linked && w->len[to] < QUEUE)
		w->q[to][w->len[to]++] = (struct packet){ (uint8_t)kind, n };
}

static void releases(struct world *w, unsigned i, uint8_t upto)
{
	if (w->h[i].discard || upto <= w->released)
		return;
	if (w->owner != i)
		w->wrong = WRONG_TWO;
	w->released = upto;
}

static void fire(struct world *w, unsigned i, enum ft_event_kind kind, uint8_t term, step_fn *step);

static void carry_out(struct world *w, unsigned i, uint32_t actions, uint8_t from, step_fn *step)
{
	struct half *h = &w->h[i];
	(void)step;
	if (actions & FT_DO_PAUSE)
		h->paused = 1;
	if (actions & FT_DO_HOLD)
		h->held = 1;
	if (actions & FT_DO_JOIN) {
		h->streaming = 1;
		h->acked = 0;
		send_to(w, 1 - i, MSG_STATE, h->pos);
	}
	if (actions & FT_DO_SEND_PROTECT) {
		w->lease = 1;
		send_to(w, 1 - i, MSG_PROTECT, 0);
	}
	if (actions & FT_DO_SEND_SWITCH)
		h->switch_due = 1;
	if (actions & FT_DO_SEND_TAKEN)
		send_to(w, 1 - i, MSG_TAKEN, 0);
	if (actions & FT_DO_SEND_BYE)
		send_to(w, 1 - i, MSG_BYE, 0);
	if (actions & FT_DO_CLOSE) {
		h->linked = h->streaming = h->switch_due = 0;
		w->len[i] = 0;
	}
	if (actions & FT_DO_CLAIM)
		h->claim = 1;
	if (actions & FT_DO_RETRY)
		h->retry = 1;
	if (actions & FT_DO_FINISH)
		h->finish = 1;
	/* Live now, or again. */
	if (ft_is_live(&(struct ft_state){ .role = h->role }) &&
	    !ft_is_live(&(struct ft_state){ .role = from })) {
		if (h->term > TERMS || w->grants[h->term] != ident(w, i) ||
		    (w->owner != NOBODY && (w->owner != i || h->term != w->owner_term) && h->term <= w->owner_term &&
		     !(w->owner == i && h->term == w->owner_term)))
			w->wrong = WRONG_TERM;
		if (h->pos < w->released)
			w->wrong = WRONG_LOST;
		w->owner = (uint8_t)i;
		w->owner_term = h->term;
	}
	if (actions & FT_DO_RELEASE) {
		if (h->held)
			releases(w, i, h->pos);
		h->held = 0;
	}
	if (actions & FT_DO_RUN)
		h->paused = 0;
	if (actions & FT_DO_HALT) {
		h->discard = 1;
		h->up = 0;
		h->linked = 0;
	}
}

static void fire(struct world *w, unsigned i, enum ft_event_kind kind, uint8_t term, step_fn *step)
{
	struct half *h = &w->h[i];
	struct ft_state s = { .role = (enum ft_role)h->role, .term = h->term, .switching = h->switching };
	const struct ft_event e = { kind, term };
	const uint8_t from = h->role;
	uint32_t actions = step(&s, &e);
	h->role = (uint8_t)s.role;
	h->term = (uint8_t)s.term;
	h->switching = s.switching;
	carry_out(w, i, actions, from, step);
}

static bool is_backup_role(uint8_t role)
{
	return role >= FT_WAITING && role <= FT_FINISHING;
}

static void acknowledge(struct world *w, unsigned i)
{
	w->overdue = 0;
	send_to(w, 1 - i, MSG_ACK, w->h[i].pos);
}

static void deliver(struct world *w, unsigned i, step_fn *step)
{
	const struct packet p = w->q[i][0];
	struct half *h = &w->h[i];
	memmove(w->q[i], w->q[i] + 1, (QUEUE - 1) * sizeof(struct packet));
	w->q[i][--w->len[i]] = (struct packet){ 0, 0 };
	switch (p.kind) {
	case MSG_STATE:
		h->pos = p.n;
		h->loaded = 1;
		break;
	case MSG_LOG:
		if (is_backup_role(h->role) && h->role != FT_FINISHING)
			h->pos = p.n;
		acknowledge(w, i);
		break;
	case MSG_ACK:
	case MSG_STALE_ACK:
		if (p.kind == MSG_ACK && (h->role == FT_PROTECTED || h->role == FT_SWITCHING))
			w->lease = 1;
		h->acked = p.n > h->acked ? p.n : h->acked;
		if (h->held && w->lease)
			releases(w, i, h->acked);
		break;
	case MSG_READY:
		fire(w, i, FT_EV_MSG_READY, 0, step);
		break;
	case MSG_PROTECT:
		w->overdue = 0;
		fire(w, i, FT_EV_MSG_PROTECT, 0, step);
		break;
	case MSG_SWITCH:
		fire(w, i, FT_EV_MSG_SWITCH, 0, step);
		break;
	case MSG_TAKEN:
		fire(w, i, FT_EV_MSG_TAKEN, 0, step);
		break;
	case MSG_BYE:
		fire(w, i, FT_EV_MSG_BYE, 0, step);
		break;
	default:
		break;
	}
}

/* ---- what can happen; each returns whether it can, and what becomes of the world ---- */

enum happening {
	H_DELIVER, H_CUT, H_EXPIRE, H_LOST_LINK, H_CRASH, H_RESTART, H_CONNECT, H_OUTPUT, H_BEAT, H_READY, H_GRANT,
	H_GRANT_UNHEARD, H_UNREACHABLE, H_RETRY, H_LIVE, H_SWITCH, H_SEND_SWITCH, H_LEAVE, H_START, H_COUNT
};
static const char *const happening_text[] = { "is given a message", "(the link is cut)", "(the lease runs out)",
	"loses its link", "dies", "comes back as a backup", "connects", "makes an output", "sends a heartbeat", "is ready",
	"gets the arbiter's answer", "'s claim is made, the answer lost", "cannot reach the arbiter", "tries again",
	"is at the end of its log", "is asked to switch", "asks the other to take over", "is asked to leave", "starts" };

static bool arbiter_answers(struct world *w, unsigned i, bool heard, step_fn *step)
{
	struct half *h = &w->h[i];
	unsigned term = h->term + 1u;
	bool ours;
	if (!h->up || !h->claim)
		return false;
	if (h->role == FT_CLAIMING)
		for (term = 1; term <= TERMS && w->grants[term] != NOBODY;)
			term++;
	if (term > TERMS)
		return false;
	if (w->grants[term] == NOBODY)
		w->grants[term] = ident(w, i);
	else if (!heard)
		return false;
	ours = w->grants[term] == ident(w, i);
	h->claim = 0;
	fire(w, i, !heard ? FT_EV_UNREACHABLE : ours ? FT_EV_WON : FT_EV_LOST, (uint8_t)term, step);
	return true;
}

static bool happens(struct world *w, enum happening what, unsigned i, step_fn *step)
{
	struct half *h = &w->h[i], *o = &w->h[1 - i];
	switch (what) {
	case H_DELIVER:
		if (!h->up || !h->linked || w->cut || !w->len[i])
			return false;
		deliver(w, i, step);
		return true;
	case H_CUT:
		if (i || w->cut || (!h->linked && !o->linked))
			return false;
		w->cut = 1;
		memset(w->q, 0, sizeof(w->q));
		memset(w->len, 0, sizeof(w->len));
		return true;
	case H_EXPIRE:
		/* `timeout` after the backup's last acknowledgement; those on their way are as old. */
		if (i || (!w->lease && w->overdue))
			return false;
		w->lease = 0;
		w->overdue = 1;
		for (unsigned k = 0; k < HALVES; k++)
			for (unsigned m = 0; m < w->len[k]; m++)
				if (w->q[k][m].kind == MSG_ACK)
					w->q[k][m].kind = MSG_STALE_ACK;
		return true;
	case H_LOST_LINK:
		if (!h->up || !h->linked || (h->role == FT_FOLLOWING && !w->overdue))
			return false;
		fire(w, i, FT_EV_LINK_LOST, 0, step);
		return true;
	case H_CRASH:
		if (!h->up)
			return false;
		h->up = h->linked = 0;
		w->len[i] = 0;
		return true;
	case H_RESTART:
		if (h->up || w->restarts == RESTARTS)
			return false;
		w->restarts++;
		*h = (struct half){ .up = 1, .role = FT_WAITING, .life = (uint8_t)(h->life + 1) };
		return true;
	case H_CONNECT:
		if (!h->up || !o->up || h->role != FT_SOLO || o->role != FT_WAITING || h->linked || o->linked)
			return false;
		memset(w->q, 0, sizeof(w->q));
		memset(w->len, 0, sizeof(w->len));
		w->cut = w->lease = w->overdue = 0;
		h->linked = o->linked = 1;
		o->loaded = o->ready_sent = 0;
		fire(w, 1 - i, FT_EV_PEER, h->term, step);
		fire(w, i, FT_EV_PEER, h->term, step);
		return true;
	case H_OUTPUT:
		if (!h->up || h->paused || !ft_is_live(&(struct ft_state){ .role = h->role }) || h->pos == OUTPUTS ||
		    (h->streaming && !w->cut && w->len[1 - i] == QUEUE))
			return false;
		h->pos++;
		if (h->streaming)
			send_to(w, 1 - i, MSG_LOG, h->pos);
		if (!h->held)
			releases(w, i, h->pos);
		return true;
	case H_BEAT:
		if (!h->up || !h->streaming || w->cut || w->len[1 - i] > 1)
			return false;
		send_to(w, 1 - i, MSG_LOG, h->pos);
		return true;
	case H_READY:
		if (!h->up || h->role != FT_LOADING || !h->loaded || h->ready_sent)
			return false;
		h->ready_sent = 1;
		send_to(w, 1 - i, MSG_READY, 0);
		return true;
	case H_GRANT:
		return arbiter_answers(w, i, true, step);
	case H_GRANT_UNHEARD:
		return arbiter_answers(w, i, false, step);
	case H_UNREACHABLE:
		if (!h->up || !h->claim)
			return false;
		h->claim = 0;
		fire(w, i, FT_EV_UNREACHABLE, 0, step);
		return true;
	case H_RETRY:
		if (!h->up || !h->retry)
			return false;
		h->retry = 0;
		fire(w, i, FT_EV_RETRY, 0, step);
		return true;
	case H_LIVE:
		if (!h->up || !h->finish || h->role != FT_FINISHING)
			return false;
		h->finish = 0;
		fire(w, i, FT_EV_LIVE, 0, step);
		return true;
	case H_SWITCH:
		if (!h->up || h->role != FT_PROTECTED || w->len[1 - i] >= QUEUE - 1)
			return false;
		fire(w, i, FT_EV_SWITCH, 0, step);
		return true;
	case H_SEND_SWITCH:
		/* Nothing may be left that an acknowledgement could still let go. */
		if (!h->up || !h->switch_due || h->acked < h->pos || w->released < h->pos)
			return false;
		h->switch_due = 0;
		send_to(w, 1 - i, MSG_SWITCH, 0);
		return true;
	case H_LEAVE:
		if (!h->up)
			return false;
		fire(w, i, FT_EV_LEAVE, 0, step);
		return true;
	case H_START:
		if (!h->up || h->role != FT_CLAIMING || h->claim || h->retry)
			return false;
		fire(w, i, FT_EV_START, 0, step);
		return true;
	default:
		return false;
	}
}

/* ---- breadth first ---- */

struct search {
	struct world *world;
	uint32_t *parent;
	uint8_t *how; /* happening * 2 + half */
	size_t n, cap;
	uint32_t *table;
	size_t mask;
	uint64_t steps;
};

static bool add(struct search *s, const struct world *w, uint32_t parent, uint8_t how)
{
	size_t at = digest_bytes(w, sizeof(*w), 0).lo & s->mask;
	while (s->table[at]) {
		if (memcmp(&s->world[s->table[at] - 1], w, sizeof(*w)) == 0)
			return false;
		at = (at + 1) & s->mask;
	}
	if (s->n == s->cap)
		fail_msg("more states than there is room for");
	s->world[s->n] = *w;
	s->parent[s->n] = parent;
	s->how[s->n] = how;
	s->table[at] = (uint32_t)++s->n;
	return true;
}

static void print_path(const struct search *s, uint32_t at)
{
	if (at)
		print_path(s, s->parent[at]);
	if (at)
		print_message("  %c %s -> A %s/%u, B %s/%u, released %u\n", 'A' + s->how[at] % 2,
			      happening_text[s->how[at] / 2], ft_role_text((enum ft_role)s->world[at].h[0].role),
			      s->world[at].h[0].term, ft_role_text((enum ft_role)s->world[at].h[1].role),
			      s->world[at].h[1].term, s->world[at].released);
}

/* What a dead half was does not matter: fewer states that differ in nothing. */
static void forget_the_dead(struct world *w)
{
	for (unsigned i = 0; i < HALVES; i++)
		if (!w->h[i].up)
			w->h[i] = (struct half){ .life = w->h[i].life };
	if (!w->h[0].linked && !w->h[1].linked) {
		memset(w->q, 0, sizeof(w->q));
		memset(w->len, 0, sizeof(w->len));
		w->cut = w->lease = w->overdue = 0;
	}
}

/* Returns what is wrong in the first bad state, 0: nothing. */
static unsigned explore(step_fn *step, bool tell)
{
	struct search s = { .cap = 6u << 20, .mask = (1u << 24) - 1 };
	struct world first = { .owner = NOBODY };
	unsigned wrong = 0;
	s.world = malloc(s.cap * sizeof(*s.world));
	s.parent = malloc(s.cap * sizeof(*s.parent));
	s.how = malloc(s.cap);
	s.table = calloc(s.mask + 1, sizeof(*s.table));
	assert_true(s.world && s.parent && s.how && s.table);
	memset(first.grants, NOBODY, sizeof(first.grants));
	first.h[0] = (struct half){ .up = 1, .role = FT_CLAIMING, .paused = 1 };
	first.h[1] = (struct half){ .up = 1, .role = FT_WAITING };
	add(&s, &first, 0, 0);
	for (size_t at = 0; at < s.n && !wrong; at++) {
		bool moved[HALVES] = { false, false };
		for (unsigned what = 0; what < H_COUNT && !wrong; what++) {
			for (unsigned i = 0; i < HALVES && !wrong; i++) {
				struct world w = s.world[at];
				if (!happens(&w, (enum happening)what, i, step))
					continue;
				s.steps++;
				forget_the_dead(&w);
				/* What outsiders do is no way out for somebody who is stuck. */
				if (what != H_CRASH && what != H_LEAVE && what != H_SWITCH && what != H_CUT)
					moved[i] = true;
				if (add(&s, &w, (uint32_t)at, (uint8_t)(what * 2 + i)) && w.wrong) {
					wrong = w.wrong;
					if (tell)
						print_path(&s, (uint32_t)s.n - 1);
				}
			}
		}
		for (unsigned i = 0; i < HALVES && !wrong; i++) {
			const struct half *h = &s.world[at].h[i];
			const bool waits = !h->up || h->role == FT_WAITING || h->role == FT_HALTED ||
					   ft_is_live(&(struct ft_state){ .role = h->role }) ||
					   (h->role == FT_FOLLOWING && h->linked) || (h->claim && h->term >= TERMS);
			if (h->up && !moved[i] && !waits) {
				wrong = WRONG_STUCK;
				if (tell)
					print_path(&s, (uint32_t)at);
			}
		}
	}
	if (tell)
		print_message("%zu states, %llu steps: %s\n", s.n, (unsigned long long)s.steps,
			      wrong ? wrong_text[wrong] : "all good");
	free(s.world);
	free(s.parent);
	free(s.how);
	free(s.table);
	return wrong;
}

static void test_all_states(void **state)
{
	(void)state;
	assert_int_equal(explore(ft_step, true), 0);
}

/* ---- mistakes that must be found ---- */

static uint32_t no_hold(struct ft_state *s, const struct ft_event *e)
{
	return ft_step(s, e) & ~FT_DO_HOLD;
}

static uint32_t no_claim_of_a_primary(struct ft_state *s, const struct ft_event *e)
{
	if (s->role == FT_PROTECTED && e->kind == FT_EV_LINK_LOST) {
		s->role = FT_SOLO;
		return FT_DO_CLOSE | FT_DO_RELEASE;
	}
	return ft_step(s, e);
}

static uint32_t no_claim_of_a_backup(struct ft_state *s, const struct ft_event *e)
{
	if (s->role == FT_FOLLOWING && e->kind == FT_EV_LINK_LOST) {
		s->role = FT_FINISHING;
		s->term++;
		return FT_DO_CLOSE | FT_DO_FINISH;
	}
	return ft_step(s, e);
}

static uint32_t takes_over_unprotected(struct ft_state *s, const struct ft_event *e)
{
	if (s->role == FT_LOADING && e->kind == FT_EV_LINK_LOST) {
		s->role = FT_TAKING;
		return FT_DO_CLOSE | FT_DO_CLAIM;
	}
	return ft_step(s, e);
}

static uint32_t says_bye_while_taking(struct ft_state *s, const struct ft_event *e)
{
	const bool taking = s->role == FT_TAKING;
	/* It switches, tells the primary to go on alone, and takes over all the same. */
	if (taking && e->kind == FT_EV_UNREACHABLE && s->switching)
		return ft_step(s, e) | FT_DO_SEND_BYE;
	return ft_step(s, e);
}

static uint32_t unreachable_is_won(struct ft_state *s, const struct ft_event *e)
{
	struct ft_event won = *e;
	if (s->role == FT_DECIDING && e->kind == FT_EV_UNREACHABLE) {
		won = (struct ft_event){ FT_EV_WON, s->term + 1 };
		return ft_step(s, &won);
	}
	return ft_step(s, e);
}

static uint32_t lost_goes_on(struct ft_state *s, const struct ft_event *e)
{
	if (s->role == FT_DECIDING && e->kind == FT_EV_LOST) {
		s->role = FT_SOLO;
		return FT_DO_RELEASE | FT_DO_RUN;
	}
	return ft_step(s, e);
}

static uint32_t forgets_to_retry(struct ft_state *s, const struct ft_event *e)
{
	return ft_step(s, e) & ~FT_DO_RETRY;
}

static void test_mistakes_are_found(void **state)
{
	(void)state;
	assert_int_not_equal(explore(no_hold, false), 0);
	assert_int_not_equal(explore(no_claim_of_a_primary, false), 0);
	assert_int_not_equal(explore(no_claim_of_a_backup, false), 0);
	assert_int_not_equal(explore(takes_over_unprotected, false), 0);
	assert_int_not_equal(explore(says_bye_while_taking, false), 0);
	assert_int_not_equal(explore(unreachable_is_won, false), 0);
	assert_int_not_equal(explore(lost_goes_on, false), 0);
	assert_int_not_equal(explore(forgets_to_retry, false), 0);
}

/* Every event in every role, with any term: only named roles, only named actions, and a term that never goes down. */
static void test_every_event_in_every_role(void **state)
{
	unsigned meant = 0;
	(void)state;
	for (unsigned role = FT_CLAIMING; role <= FT_HALTED; role++) {
		for (unsigned kind = FT_EV_WON; kind <= FT_EV_LEAVE; kind++) {
			for (uint64_t term = 5; term < 8; term++) {
				struct ft_state s = { .role = (enum ft_role)role, .term = 5 }, before = s;
				const struct ft_event e = { (enum ft_event_kind)kind, term };
				uint32_t actions = ft_step(&s, &e);
				assert_true(s.role <= FT_HALTED && s.term >= before.term);
				assert_int_equal(actions & ~0x7fffu, 0);
				if (s.role == before.role && s.term == before.term && !actions)
					assert_memory_equal(&s, &before, sizeof(s));
				else
					meant++;
				if (before.role == FT_HALTED)
					assert_int_equal(actions, 0);
				/* Nobody becomes live but by a term, or from being live. */
				if (ft_is_live(&s) && !ft_is_live(&before))
					assert_true(e.kind == FT_EV_WON || before.role == FT_FINISHING ||
						    (before.role == FT_SWITCHING && e.kind == FT_EV_MSG_BYE));
			}
		}
	}
	assert_true(meant > 60);
	assert_string_equal(ft_role_text((enum ft_role)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_event_in_every_role),
		cmocka_unit_test(test_all_states),
		cmocka_unit_test(test_mistakes_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
