/* SPDX-License-Identifier: Apache-2.0 */
/* Host ends of the serial port: the only code that touches the host's terminal and files at run time. */
#ifndef RV_BACKEND_BACKEND_H
#define RV_BACKEND_BACKEND_H

#include "base/status.h"
#include "port/live.h"
#include "port/output.h"

/*
 * A console: an implementation of the outbound port for OUT_CONSOLE, and an
 * input thread that feeds live_console_input(). spec: "stdio" (raw mode when
 * stdin is a terminal, Ctrl-A x ends the run, Ctrl-A Ctrl-A sends one Ctrl-A,
 * Ctrl-A h prints help), "file:PATH" (output only), "pty" (prints the slave's
 * name), "none". The terminal is restored by destroy, and by
 * console_restore_terminal() which is async-signal-safe and also runs at exit.
 */
struct console;
struct console_cfg {
	const char *spec;
	bool input;        /* false (replay): output only, the terminal stays as it is */
	struct live *live; /* with input */
	unsigned instance; /* CONSOLE_SERIAL, CONSOLE_VIRTIO: whose input it is */
	void (*stopped)(void *ctx); /* Ctrl-A x was typed (input thread) */
	void *ctx;
};
int console_create(struct console **out, const struct console_cfg *cfg, struct rv_err *err);
void console_destroy(struct console *c);
struct output *console_output(struct console *c);
bool console_is_terminal(const struct console *c); /* stdin and stdout are one */
void console_restore_terminal(void);

#endif
