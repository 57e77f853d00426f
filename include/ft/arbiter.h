/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arbiter: whom both halves of a pair ask when they have lost each other.
 * It gives each term once. Terms are never given back, and never run out of
 * time.
 *
 *   file:PATH       PATH.TERM on storage that both see: made with its contents
 *                   by link(2), which fails if the name is there
 *   etcd:URL        an etcd transaction on the key PAIR/TERM: put if
 *                   mod_revision is 0, without a lease
 *
 * Both calls may take long, and libraries of the etcd side open what they
 * like: a child process makes them, from before the sandbox closes.
 */
#ifndef RV_FT_ARBITER_H
#define RV_FT_ARBITER_H

#include "base/status.h"
#include "base/types.h"

struct arbiter;

struct arbiter_cfg {
	const char *spec; /* "file:PATH" or "etcd:URL[,cacert=F][,cert=F][,key=F]" */
	const char *pair; /* name of the pair, 1 to 64 of [A-Za-z0-9._-]; the etcd key begins with it */
	const char *fence; /* a shell command, run before a fenced claim counts as won, with RETROVISOR_PAIR and RETROVISOR_TERM in
			    * its environment; must end with status 0. NULL: none */
	const char *who;  /* what the claim says of us, one line; a random id is added to it */
};

enum arbiter_answer {
	ARBITER_WON,         /* the term is ours; also if an earlier claim of this process had made it so */
	ARBITER_LOST,        /* it is somebody else's */
	ARBITER_UNREACHABLE, /* unknown: ask again */
};
struct arbiter_reply {
	enum arbiter_answer answer;
	bool looked;     /* to arbiter_look() */
	uint64_t term;   /* that was asked for, or that was won */
	uint64_t latest; /* the highest term there is, where known; else 0 */
	char text[200];  /* for people: who has it, or why it could not be asked */
};

/* Checks the spec (RV_EUSAGE) and starts the child. Before the first thread. One request of at most 3 seconds at a
 * time is on its way. The child ends with us. */
int arbiter_create(struct arbiter **out, const struct arbiter_cfg *cfg, struct rv_err *err);
void arbiter_destroy(struct arbiter *a);
/* Readable when there is a reply. */
int arbiter_fd(const struct arbiter *a);
/* Asks for exactly this term; 0: for the first above all that were ever given. RV_EINVAL: a request is on its way. */
/* fence: run cfg.fence when the term is ours; if it fails the answer is ARBITER_UNREACHABLE, and a next claim runs it again. */
int arbiter_claim(struct arbiter *a, uint64_t term, bool fence);
/* Asks only what the highest term is: the reply's answer is ARBITER_WON if it is `term`, or less, else ARBITER_LOST. */
int arbiter_look(struct arbiter *a, uint64_t term);
/* 1 with *reply, 0: none yet. A child that died: ARBITER_UNREACHABLE, for ever. */
int arbiter_take(struct arbiter *a, struct arbiter_reply *reply);

#endif
