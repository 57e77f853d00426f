/* SPDX-License-Identifier: Apache-2.0 */
#include "arbiter_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"

/* Request: u8 what, u64 term. Reply: u8 answer, u8 looked, u64 term, u64 latest, text. */
#define REQUEST_LEN 9u
#define REPLY_TEXT 18u
#define REPLY_LEN (REPLY_TEXT + 200u)

enum { ASK_CLAIM, ASK_LOOK, ASK_FENCED };

struct arbiter {
	int fd;
	pid_t child;
	bool pending, dead;
	uint8_t asked;
	uint64_t term;
};

/* ---- the child ---- */

struct answering {
	const struct arbiter_kind *kind;
	void *self;
	struct arbiter_claim claim;
	const char *fence;
};

static void say(struct arbiter_reply *r, const char *text)
{
	size_t n = 0;
	for (; text[n] && n < sizeof(r->text) - 1; n++)
		r->text[n] = text[n];
	r->text[n] = '\0';
}

static void answer_look(struct answering *a, uint64_t term, struct arbiter_reply *r)
{
	struct rv_err err = { 0 };
	r->looked = true;
	if (a->kind->latest(a->self, &a->claim, &r->latest, &err) != RV_OK) {
		r->answer = ARBITER_UNREACHABLE;
		say(r, err.text);
	} else {
		r->answer = r->latest <= term ? ARBITER_WON : ARBITER_LOST;
	}
}

static void answer_claim(struct answering *a, uint64_t term, struct arbiter_reply *r)
{
	char holder[ARBITER_CLAIM_MAX + 1] = "";
	struct rv_err err = { 0 };
	const bool first = term == 0;
	int rc = RV_OK;
	/* The first that is free: others may be as quick. */
	for (unsigned tries = 0; tries < 16; tries++) {
		if (first) {
			rc = a->kind->latest(a->self, &a->claim, &r->latest, &err);
			term = r->latest + 1;
		}
		if (rc == RV_OK)
			rc = a->kind->claim(a->self, &a->claim, term, holder, &err);
		if (!first || rc != RV_EEXIST)
			break;
	}
	r->term = term;
	r->answer = rc == RV_OK ? ARBITER_WON : rc == RV_EEXIST ? ARBITER_LOST : ARBITER_UNREACHABLE;
	say(r, rc == RV_EEXIST ? holder : rc == RV_OK ? "" : err.text);
}

/* What stands between the old primary and the shared storage. */
static void run_fence(struct answering *a, struct arbiter_reply *r)
{
	char term[24];
	int status;
	snprintf(term, sizeof(term), "%llu", (unsigned long long)r->term);
	setenv("RETROVISOR_PAIR", a->claim.pair, 1);
	setenv("RETROVISOR_TERM", term, 1);
	status = system(a->fence);
	if (status == 0)
		return;
	r->answer = ARBITER_UNREACHABLE;
	snprintf(r->text, sizeof(r->text), "the fence failed with status %d; not going live", status < 0 ? status : status >> 8);
}

static void reply_encode(const struct arbiter_reply *r, uint8_t out[REPLY_LEN])
{
	memset(out, 0, REPLY_LEN);
	out[0] = (uint8_t)r->answer;
	out[1] = r->looked;
	le64_put(out + 2, r->term);
	le64_put(out + 10, r->latest);
	memcpy(out + REPLY_TEXT, r->text, strlen(r->text));
}

static _Noreturn void child_main(int fd, struct answering *a)
{
	uint8_t request[REQUEST_LEN], reply[REPLY_LEN];
	if (a->kind->prepare)
		a->kind->prepare(a->self, &a->claim);
	while (recv(fd, request, sizeof(request), 0) == (ssize_t)sizeof(request)) {
		struct arbiter_reply r = { .term = le64_get(request + 1) };
		if (request[0] == ASK_LOOK)
			answer_look(a, r.term, &r);
		else
			answer_claim(a, r.term, &r);
		if (request[0] == ASK_FENCED && a->fence && r.answer == ARBITER_WON)
			run_fence(a, &r);
		reply_encode(&r, reply);
		if (send(fd, reply, sizeof(reply), MSG_NOSIGNAL) != (ssize_t)sizeof(reply))
			break;
		if (request[0] != ASK_LOOK && a->kind->prepare)
			a->kind->prepare(a->self, &a->claim);
	}
	_exit(0);
}

/* ---- the parent ---- */

static const struct arbiter_kind *const kinds[] = { &arbiter_kind_file, &arbiter_kind_etcd };

static int open_kind(struct answering *a, const char *spec, struct rv_err *err)
{
	for (size_t i = 0; i < RV_ARRAY_LEN(kinds); i++) {
		size_t len = strlen(kinds[i]->name);
		if (strncmp(spec, kinds[i]->name, len) != 0 || spec[len] != ':')
			continue;
		a->kind = kinds[i];
		return a->kind->open(&a->self, spec + len + 1, err);
	}
	return rv_err_set(err, RV_EUSAGE, "--arbiter=%.200s: unknown; use file:PATH or etcd:URL", spec);
}

static int check_pair(const char *pair, struct rv_err *err)
{
	size_t ok = strspn(pair, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
	if (ok == 0 || ok > 64 || pair[ok])
		return rv_err_set(err, RV_EUSAGE, "--pair=%.80s: use 1 to 64 letters, digits, dots, dashes", pair);
	return RV_OK;
}

static int claim_text(char out[ARBITER_CLAIM_MAX + 1], const char *who, struct rv_err *err)
{
	uint64_t id[2];
	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return rv_err_set(err, RV_EIO, "no random numbers: %s", strerror(errno));
	snprintf(out, ARBITER_CLAIM_MAX + 1, "%.120s %016llx%016llx", who, (unsigned long long)id[0],
		 (unsigned long long)id[1]);
	return RV_OK;
}

int arbiter_create(struct arbiter **out, const struct arbiter_cfg *cfg, struct rv_err *err)
{
	char text[ARBITER_CLAIM_MAX + 1];
	struct answering a = { .claim = { cfg->pair, text }, .fence = cfg->fence };
	struct arbiter *arb = NULL;
	int sv[2] = { -1, -1 }, rc = check_pair(cfg->pair, err);
	const pid_t parent = getpid();
	if (rc == RV_OK)
		rc = claim_text(text, cfg->who, err);
	if (rc == RV_OK)
		rc = open_kind(&a, cfg->spec, err);
	if (rc != RV_OK)
		return rc;
	arb = calloc(1, sizeof(*arb));
	if (!arb || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0 || (arb->child = fork()) < 0) {
		rc = rv_err_set(err, RV_ENOMEM, "no process for the arbiter's client");
		goto fail;
	}
	if (arb->child == 0) {
		/* What ends us is that our parent does; a terminal's Ctrl-C is for it alone. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		signal(SIGINT, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		close(sv[0]);
		child_main(sv[1], &a);
	}
	close(sv[1]);
	(void)fcntl(sv[0], F_SETFL, O_NONBLOCK);
	arb->fd = sv[0];
	a.kind->close(a.self);
	*out = arb;
	return RV_OK;
fail:
	if (sv[0] >= 0) {
		close(sv[0]);
		close(sv[1]);
	}
	a.kind->close(a.self);
	free(arb);
	return rc;
}

void arbiter_destroy(struct arbiter *a)
{
	if (!a)
		return;
	close(a->fd); /* the child reads its end, after what it is at */
	free(a);
}

int arbiter_fd(const struct arbiter *a)
{
	return a->dead ? -1 : a->fd;
}

static int ask(struct arbiter *a, uint8_t what, uint64_t term)
{
	uint8_t request[REQUEST_LEN] = { what };
	if (a->pending)
		return RV_EINVAL;
	le64_put(request + 1, term);
	a->pending = true;
	a->asked = what;
	a->term = term;
	if (!a->dead && send(a->fd, request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request))
		a->dead = true;
	return RV_OK;
}

int arbiter_claim(struct arbiter *a, uint64_t term, bool fence)
{
	return ask(a, fence ? ASK_FENCED : ASK_CLAIM, term);
}

int arbiter_look(struct arbiter *a, uint64_t term)
{
	return ask(a, ASK_LOOK, term);
}

int arbiter_take(struct arbiter *a, struct arbiter_reply *reply)
{
	uint8_t in[REPLY_LEN];
	ssize_t n;
	if (!a->pending)
		return 0;
	n = a->dead ? 0 : recv(a->fd, in, sizeof(in), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	a->pending = false;
	memset(reply, 0, sizeof(*reply));
	if (n != (ssize_t)sizeof(in) || in[0] > ARBITER_UNREACHABLE) {
		a->dead = true;
		*reply = (struct arbiter_reply){ .answer = ARBITER_UNREACHABLE,
						 .looked = a->asked == ASK_LOOK,
						 .term = a->term,
						 .text = "its client process died" };
		return 1;
	}
	reply->answer = in[0];
	reply->looked = in[1] != 0;
	reply->term = le64_get(in + 2);
	reply->latest = le64_get(in + 10);
	for (size_t i = 0; i < sizeof(reply->text) - 1 && in[REPLY_TEXT + i]; i++) {
		uint8_t c = in[REPLY_TEXT + i];
		reply->text[i] = (char)(c < ' ' || c > '~' ? '?' : c);
	}
	return 1;
}
