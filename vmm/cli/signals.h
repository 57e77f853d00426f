/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals of the process. SIGINT, SIGTERM and SIGHUP ask the current session
 * to stop at the next boundary; a second one ends the process at once. Before
 * a fatal signal kills it the terminal is restored.
 */
#ifndef RV_CLI_SIGNALS_H
#define RV_CLI_SIGNALS_H

/* At start. SIGPIPE is ignored: a reader that went away is an error of a write. */
void signals_install(void);
/* While set, stop() is called from the handler (async-signal-safe); NULL: the default action again. */
void signals_set_stop(void (*stop)(void *ctx), void *ctx);
/* While set, SIGUSR1 calls mark() from the handler; NULL: it is ignored. */
void signals_set_mark(void (*mark)(void *ctx), void *ctx);
/* True if a stop signal came since signals_set_stop(). */
int signals_stop_seen(void);

#endif
