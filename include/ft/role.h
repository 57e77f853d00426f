/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is live: the role machine of one half of a hot-standby pair. A pure
 * function of its state and one event; whoever calls it carries out the
 * actions, in the order of their bits. tests/unit/ft/test_role.c walks through
 * every reachable state of two halves, their link and the arbiter.
 *
 * A *term* is a number that the arbiter gives to one half, once and for ever.
 * A half is *live* (runs the guest, and lets its outputs go) only under a term
 * of its own:
 *
 *   primary   CLAIMING -> SOLO -> JOINING -> PROTECTED -> DECIDING -> SOLO or HALTED
 *                           ^--------'-----------'        SWITCHING -> HALTED
 *   backup    WAITING -> LOADING -> FOLLOWING -> TAKING -> FINISHING -> SOLO
 *
 * While PROTECTED, what the guest sends waits until the backup holds the log
 * up to it. When the link is lost both ask the arbiter for the same next term;
 * who gets it goes on, the other halts. Without an answer both wait.
 *
 * What the caller promises:
 *  - messages of one link arrive in order, and none of a link that was lost;
 *  - a backup is told LINK_LOST only when its primary's *lease* has run out: no
 *    earlier than `timeout` after the last message it sent that the primary
 *    could take for an acknowledgement;
 *  - a primary releases held outputs only while its lease runs, and is told
 *    LINK_LOST when it has run out.
 */
#ifndef RV_FT_ROLE_H
#define RV_FT_ROLE_H

#include "base/types.h"

/* X(name, text) */
#define FT_ROLE_LIST(X)                                                                            \
	X(FT_CLAIMING, "claiming")   /* a primary at its start: asks for a first term */           \
	X(FT_SOLO, "solo")           /* live, without a backup */                                  \
	X(FT_JOINING, "joining")     /* live; a backup is being given the machine's state */       \
	X(FT_PROTECTED, "protected") /* live; outputs wait for the backup */                       \
	X(FT_DECIDING, "deciding")   /* lost its backup: paused until the arbiter has spoken */    \
	X(FT_SWITCHING, "switching") /* paused: the backup was asked to take over */               \
	X(FT_WAITING, "waiting")     /* a backup without a primary */                              \
	X(FT_LOADING, "loading")     /* takes the state in; can not take over */                   \
	X(FT_FOLLOWING, "following") /* holds the log, replays behind; can take over */            \
	X(FT_TAKING, "taking")       /* lost its primary: asks for the next term */                \
	X(FT_FINISHING, "finishing") /* has the term; replays to the end of its log */             \
	X(FT_HALTED, "halted")       /* for good: nothing leaves this host any more */

enum ft_role {
#define FT_ROLE_ENUM(name, text) name,
	FT_ROLE_LIST(FT_ROLE_ENUM)
#undef FT_ROLE_ENUM
};
const char *ft_role_text(enum ft_role role);

enum ft_event_kind {
	/* the arbiter's answers to FT_DO_CLAIM */
	FT_EV_WON,         /* `term` is ours */
	FT_EV_LOST,        /* it is the other's */
	FT_EV_UNREACHABLE, /* nobody knows: the claim may have been made */
	FT_EV_SUPERSEDED,  /* somebody holds a later term than ours */
	FT_EV_RETRY,       /* the timer of FT_DO_RETRY */
	/* the link */
	FT_EV_PEER,        /* it is up, and both agreed on what they are; `term` is the primary's */
	FT_EV_LINK_LOST,   /* closed or silent; see above */
	/* messages */
	FT_EV_MSG_READY,   /* to the primary: the backup has the state, and the log up to now */
	FT_EV_MSG_PROTECT, /* to the backup: from here on outputs wait for you */
	FT_EV_MSG_SWITCH,  /* to the backup: take over */
	FT_EV_MSG_TAKEN,   /* to the primary: I have the next term */
	FT_EV_MSG_BYE,     /* the other leaves, and will never be live again */
	/* our own side */
	FT_EV_START,       /* once, of a primary */
	FT_EV_SWITCH,      /* the operator asks for a switch-over */
	FT_EV_LIVE,        /* the machine stands at the end of the log, ready to go on */
	FT_EV_LEAVE,       /* the machine ended, the operator stops us, or we cannot go on */
};

struct ft_event {
	enum ft_event_kind kind;
	uint64_t term;
};

/* Actions; carried out from the lowest bit up. */
#define FT_DO_PAUSE 0x1u         /* the machine stops at the next boundary */
#define FT_DO_HOLD 0x2u          /* from here on outputs wait for acknowledgements */
#define FT_DO_JOIN 0x4u          /* begin to send the machine's state, then the log */
#define FT_DO_SEND_PROTECT 0x8u
#define FT_DO_SEND_SWITCH 0x10u  /* when the machine stands, and all of its log is acknowledged: the other is live at once,
				  * so nothing of ours may go out any more */
#define FT_DO_SEND_TAKEN 0x20u
#define FT_DO_SEND_BYE 0x40u
#define FT_DO_CLOSE 0x80u        /* the link is done with, and what was being sent on it */
#define FT_DO_CLAIM 0x100u       /* ask the arbiter for state.term + 1 (CLAIMING: the first that is free) */
#define FT_DO_RETRY 0x200u       /* after a while: FT_EV_RETRY */
#define FT_DO_FINISH 0x400u      /* no more log comes: replay to its end, then FT_EV_LIVE */
#define FT_DO_RELEASE 0x800u     /* what is held goes out, and nothing is held any more */
#define FT_DO_ANNOUNCE 0x1000u   /* tell the network that the machine is here now */
#define FT_DO_RUN 0x2000u
#define FT_DO_HALT 0x4000u       /* what is held is thrown away; the process ends */

struct ft_state {
	enum ft_role role;
	uint64_t term;    /* of the live half, as far as we know; 0: none yet */
	bool switching;   /* TAKING, FINISHING: at the primary's own wish */
};

void ft_init(struct ft_state *s, bool primary);
/* An event that means nothing in a state changes nothing and returns 0. */
uint32_t ft_step(struct ft_state *s, const struct ft_event *e);

/* Does the guest run here, under our own term? */
static inline bool ft_is_live(const struct ft_state *s)
{
	return s->role == FT_SOLO || s->role == FT_JOINING || s->role == FT_PROTECTED;
}

#endif
