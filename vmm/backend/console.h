/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside this folder: the pieces of a console. host.c opens descriptors and
 * owns the terminal's mode, keys.c reads the escape key, console.c moves the
 * bytes.
 */
#ifndef RV_BACKEND_CONSOLE_H
#define RV_BACKEND_CONSOLE_H

#include "backend/backend.h"

/* ---- host.c ---- */

enum host_console_kind { HOST_CONSOLE_NONE, HOST_CONSOLE_STDIO, HOST_CONSOLE_FILE, HOST_CONSOLE_PTY };

struct host_console {
	enum host_console_kind kind;
	int in;         /* -1: no input */
	int out;        /* -1: no output */
	int slave;      /* pty: kept open so that the master never reads EIO; else -1 */
	bool out_nonblock;
	bool out_polls; /* poll() says when out can take bytes: not for regular files */
	bool terminal;  /* stdin and stdout are one */
	bool raw;       /* we put stdin into raw mode */
};
int host_console_open(struct host_console *h, const char *spec, bool input, struct rv_err *err);
void host_console_close(struct host_console *h);

/* ---- keys.c ---- */

enum console_key { CONSOLE_KEY_NONE, CONSOLE_KEY_QUIT, CONSOLE_KEY_HELP };

struct console_keys {
	bool escaped; /* Ctrl-A was typed, its second key is awaited */
};
/* Copies what is for the guest from in to out (as large); stops behind a key for us and returns it.
 * *used bytes of in were read, *made bytes of out written. */
enum console_key console_keys_filter(struct console_keys *k, const uint8_t *in, size_t len, size_t *used,
				     uint8_t *out, size_t *made);

#endif
