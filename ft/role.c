/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/role.h"

const char *ft_role_text(enum ft_role role)
{
	static const char *const text[] = {
#define FT_ROLE_TEXT(name, text) [name] = text,
		FT_ROLE_LIST(FT_ROLE_TEXT)
#undef FT_ROLE_TEXT
	};
	return (unsigned)role < RV_ARRAY_LEN(text) ? text[role] : "?";
}

void ft_init(struct ft_state *s, bool primary)
{
	*s = (struct ft_state){ .role = primary ? FT_CLAIMING : FT_WAITING };
}

static uint32_t ft_go(struct ft_state *s, enum ft_role role, uint32_t actions)
{
	s->role = role;
	return actions;
}

static uint32_t ft_halt(struct ft_state *s, uint32_t actions)
{
	return ft_go(s, FT_HALTED, actions | FT_DO_PAUSE | FT_DO_CLOSE | FT_DO_HALT);
}

/* ---- primary ---- */

static uint32_t ft_claiming(struct ft_state *s, const struct ft_event *e)
{
	switch (e->kind) {
	case FT_EV_START:
	case FT_EV_RETRY:
	case FT_EV_LOST: /* somebody else took the one that was free */
		return FT_DO_CLAIM;
	case FT_EV_UNREACHABLE:
		return FT_DO_RETRY;
	case FT_EV_WON:
		s->term = e->term;
		return ft_go(s, FT_SOLO, FT_DO_RUN);
	case FT_EV_LEAVE:
		return ft_halt(s, 0);
	default:
		return 0;
	}
}

static uint32_t ft_solo(struct ft_state *s, const struct ft_event *e)
{
	switch (e->kind) {
	case FT_EV_PEER:
		return ft_go(s, FT_JOINING, FT_DO_JOIN);
	case FT_EV_SUPERSEDED:
	case FT_EV_LEAVE:
		return ft_halt(s, 0);
	default:
		return 0;
	}
}

static uint32_t ft_joining(struct ft_state *s, const struct ft_event *e)
{
	switch (e->kind) {
	case FT_EV_MSG_READY:
		/* First hold, then say so: no output escapes that the backup does not know of. */
		return ft_go(s, FT_PROTECTED, FT_DO_HOLD | FT_DO_SEND_PROTECT);
	case FT_EV_LINK_LOST:
	case FT_EV_MSG_BYE:
		return ft_go(s, FT_SOLO, FT_DO_CLOSE);
	case FT_EV_SUPERSEDED:
		return ft_halt(s, 0);
	case FT_EV_LEAVE:
		return ft_halt(s, FT_DO_SEND_BYE);
	default:
		return 0;
	}
}

static uint32_t ft_protected(struct ft_state *s, const struct ft_event *e)
{
	switch (e->kind) {
	case FT_EV_LINK_LOST:
		return ft_go(s, FT_DECIDING, FT_DO_PAUSE | FT_DO_CLOSE | FT_DO_CLAIM);
	case FT_EV_MSG_BYE:
		return ft_go(s, FT_SOLO, FT_DO_CLOSE | FT_DO_RELEASE);
	case FT_EV_SWITCH:
		return ft_go(s, FT_SWITCHING, FT_DO_PAUSE | FT_DO_SEND_SWITCH);
	case FT_EV_SUPERSEDED:
		return ft_halt(s, 0);
	case FT_EV_LEAVE:
		return ft_halt(s, FT_DO_SEND_BYE);
	default:
		return 0;
	}
}

static uint32_t ft_deciding(struct ft_state *s, const struct ft_event *e)
{
	switch (e->kind) {
	case FT_EV_WON:
		s->term = e->term;
		return ft_go(s, FT_SOLO, FT_DO_RELEASE | FT_DO_RUN);
	case FT_EV_UNREACHABLE:
		return FT_DO_RETRY;
	case FT_EV_RETRY:
		return FT_DO_CLAIM;
	case FT_EV_LOST:
	case FT_EV_LEAVE:
		return ft_halt(s, 0);
	default:
		return 0;
	}
}

static uint32_t ft_switching(struct ft_state *s, const struct ft_event *e)
{
	switch (e->kind) {
	case FT_EV_LINK_LOST:
		/* The backup may have the term by now, or not: the arbiter knows. */
		return ft_go(s, FT_DECIDING, FT_DO_CLOSE | FT_DO_CLAIM);
	case FT_EV_MSG_BYE:
		return ft_go(s, FT_SOLO, FT_DO_CLOSE | FT_DO_RELEASE | FT_DO_RUN);
	case FT_EV_MSG_TAKEN:
	case FT_EV_SUPERSEDED:
	case FT_EV_LEAVE: /* it was asked to take over, and will */
		return ft_halt(s, 0);
	default:
		return 0;
	}
}

/* ---- backup ---- */

static uint32_t ft_waiting(struct ft_state *s, const struct ft_event *e)
{
	switch (e->kind) {
	case FT_EV_PEER:
		s->term = e->term;
		return ft_go(s, FT_LOADING, 0);
	case FT_EV_LEAVE:
		return ft_halt(s, 0);
	default:
		return 0;
	}
}

static uint32_t ft_loading(struct ft_state *s, const struct ft_event *e)
{
	switch (e->kind) {
	case FT_EV_MSG_PROTECT:
		return ft_go(s, FT_FOLLOWING, 0);
	case FT_EV_LINK_LOST:
	case FT_EV_MSG_BYE:
		return ft_halt(s, 0);
	case FT_EV_LEAVE:
		return ft_halt(s, FT_DO_SEND_BYE);
	default:
		return 0;
	}
}

static uint32_t ft_following(struct ft_state *s, const struct ft_event *e)
{
	switch (e->kind) {
	case FT_EV_LINK_LOST:
		return ft_go(s, FT_TAKING, FT_DO_CLOSE | FT_DO_CLAIM);
	case FT_EV_MSG_SWITCH:
		s->switching = true;
		return ft_go(s, FT_TAKING, FT_DO_CLAIM);
	case FT_EV_MSG_BYE:
		return ft_halt(s, 0);
	case FT_EV_LEAVE:
		return ft_halt(s, FT_DO_SEND_BYE);
	default:
		return 0;
	}
}

static uint32_t ft_taking(struct ft_state *s, const struct ft_event *e)
{
	switch (e->kind) {
	case FT_EV_WON:
		s->term = e->term;
		return ft_go(s, FT_FINISHING, (s->switching ? FT_DO_SEND_TAKEN : 0u) | FT_DO_FINISH);
	case FT_EV_UNREACHABLE:
		return FT_DO_RETRY;
	case FT_EV_RETRY:
		return FT_DO_CLAIM;
	case FT_EV_LOST:
	case FT_EV_LEAVE:
		/* No BYE: our claim may have been granted, so the other may not just go on. */
		return ft_halt(s, 0);
	default:
		return 0;
	}
}

static uint32_t ft_finishing(struct ft_state *s, const struct ft_event *e)
{
	switch (e->kind) {
	case FT_EV_LIVE:
		s->switching = false;
		return ft_go(s, FT_SOLO, FT_DO_CLOSE | FT_DO_RELEASE | FT_DO_ANNOUNCE | FT_DO_RUN);
	case FT_EV_LEAVE:
		return ft_halt(s, 0);
	default:
		return 0;
	}
}

static uint32_t ft_halted(struct ft_state *s, const struct ft_event *e)
{
	(void)s;
	(void)e;
	return 0;
}

uint32_t ft_step(struct ft_state *s, const struct ft_event *e)
{
	static uint32_t (*const step[])(struct ft_state *s, const struct ft_event *e) = {
		[FT_CLAIMING] = ft_claiming,	 [FT_SOLO] = ft_solo,
		[FT_JOINING] = ft_joining,	 [FT_PROTECTED] = ft_protected,
		[FT_DECIDING] = ft_deciding,	 [FT_SWITCHING] = ft_switching,
		[FT_WAITING] = ft_waiting,	 [FT_LOADING] = ft_loading,
		[FT_FOLLOWING] = ft_following,	 [FT_TAKING] = ft_taking,
		[FT_FINISHING] = ft_finishing,	 [FT_HALTED] = ft_halted,
	};
	return step[s->role](s, e);
}
