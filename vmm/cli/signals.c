/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/types.h"

/* A signal handler gets no argument of ours: these are the process's, and carry nothing of a guest. */
static void (*volatile stop_fn)(void *ctx);
static void *volatile stop_ctx;
static volatile sig_atomic_t stop_seen;

static void (*volatile mark_fn)(void *ctx);
static void *volatile mark_ctx;

static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP };
static const int fatal_signals[] = { SIGQUIT, SIGILL, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS };

static void on_stop(int sig)
{
	void (*fn)(void *) = stop_fn;

	if (fn && !stop_seen) {
		stop_seen = 1;
		fn(stop_ctx);
		return;
	}
	console_restore_terminal();
	/* Asked twice, or nothing to stop gently: die of this signal, as the shell expects. */
	signal(sig, SIG_DFL);
	raise(sig);
}

static void on_mark(int sig)
{
	void (*fn)(void *) = mark_fn;

	(void)sig;
	if (fn)
		fn(mark_ctx);
}

static void on_fatal(int sig)
{
	console_restore_terminal();
	/* SA_RESETHAND put the default action back; the fault happens again, or raise() repeats it. */
	raise(sig);
}

void signals_install(void)
{
	struct sigaction sa = { 0 };

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&sa.sa_mask);
	/* No SA_RESTART: a wait of the vCPU thread must end. SA_ONSTACK: an engine may not have one. */
	sa.sa_flags = SA_ONSTACK;
	sa.sa_handler = on_stop;
	for (size_t i = 0; i < RV_ARRAY_LEN(stop_signals); i++) {
		struct sigaction old;

		/* nohup ignores SIGHUP: so it stays. (A script's background jobs have SIGINT ignored as
		 * well, but whoever sends that to us by kill means it.) */
		if (stop_signals[i] == SIGHUP && sigaction(SIGHUP, NULL, &old) == 0 &&
		    old.sa_handler == SIG_IGN)
			continue;
		sigaction(stop_signals[i], &sa, NULL);
	}
	sa.sa_handler = on_mark;
	sigaction(SIGUSR1, &sa, NULL);
	sa.sa_flags = SA_ONSTACK | (int)SA_RESETHAND;
	sa.sa_handler = on_fatal;
	for (size_t i = 0; i < RV_ARRAY_LEN(fatal_signals); i++)
		sigaction(fatal_signals[i], &sa, NULL);
	/* A file size limit is an error of a write (EFBIG), not a reason to die. */
	signal(SIGXFSZ, SIG_IGN);
}

void signals_set_stop(void (*stop)(void *ctx), void *ctx)
{
	stop_seen = 0;
	stop_ctx = ctx;
	stop_fn = stop;
}

void signals_set_mark(void (*mark)(void *ctx), void *ctx)
{
	mark_fn = NULL;
	mark_ctx = ctx;
	mark_fn = mark;
}

int signals_stop_seen(void)
{
	return stop_seen;
}
