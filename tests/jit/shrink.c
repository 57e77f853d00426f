/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a failing case smaller. Each attempt is a process of its own, with
 * new machines: an engine that crashes or hangs is a failure like any other.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/jit/jit.h"

#define HANG_SECONDS 10u
#define SHRINK_RUNS  200u

enum jit_end jit_try(const struct jit_case *c, enum jit_pairing pairing, struct jit_result *out)
{
	struct jit_result *shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	enum jit_end end = JIT_END_EQUAL;
	int status = 0;
	pid_t pid;

	memset(out, 0, sizeof(*out));
	if (shared == MAP_FAILED)
		return JIT_END_EQUAL;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct jit_twin *t;

		alarm(HANG_SECONDS);
		if (jit_twin_init(&t, pairing, 0) != 0)
			_exit(2);
		jit_twin_run(t, c, shared);
		_exit(shared->failed ? 1 : 0);
	}
	if (pid > 0 && waitpid(pid, &status, 0) == pid) {
		*out = *shared;
		if (WIFSIGNALED(status)) {
			end = WTERMSIG(status) == SIGALRM ? JIT_END_HANG : JIT_END_SIGNAL;
			snprintf(out->text, sizeof(out->text), "  killed by signal %d%s\n",
				 WTERMSIG(status), end == JIT_END_HANG ? " (no end)" : "");
			out->failed = true;
			out->run = c->runs ? c->runs - 1 : 0;
		} else if (WEXITSTATUS(status) == 1) {
			end = JIT_END_DIFFERS;
			if (!out->failed) { /* a sanitizer's exit */
				out->failed = true;
				out->run = c->runs - 1;
				snprintf(out->text, sizeof(out->text), "  exit status 1\n");
			}
		}
	}
	munmap(shared, sizeof(*shared));
	return end;
}

/* Keeps the change if the case still fails. */
static bool attempt(struct jit_case *c, const struct jit_case *changed, enum jit_pairing pairing,
		    struct jit_result *out)
{
	struct jit_result *r = malloc(sizeof(*r));
	bool kept = false;

	if (r && jit_try(changed, pairing, r) != JIT_END_EQUAL) {
		*c = *changed;
		*out = *r;
		kept = true;
	}
	free(r);
	return kept;
}

/* A smaller program becomes hot in another run than before: runs are plenty while it changes, and
 * made few at the end. */
void jit_shrink(struct jit_case *c, enum jit_pairing pairing, struct jit_result *out)
{
	struct jit_case t = *c;
	bool again = true;

	t.runs = SHRINK_RUNS;
	(void)attempt(c, &t, pairing, out);
	for (unsigned round = 0; round < 4 && again; round++) {
		again = false;
		for (unsigned k = c->n; k-- > 0;) {
			t = *c;
			jit_case_drop(&t, k);
			again |= attempt(c, &t, pairing, out);
		}
		for (unsigned i = 0; i < JIT_NFEATURES; i++) {
			t = *c;
			t.features &= ~(1u << i);
			if (t.features != c->features)
				again |= attempt(c, &t, pairing, out);
		}
	}
	t = *c;
	t.runs = out->run + 1;
	(void)attempt(c, &t, pairing, out);
}
