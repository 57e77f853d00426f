/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Diagnostics for people, on stderr, one line each. The sink and the level are
 * process-wide constants set once by the command line before threads start
 * (the one exception to "no file-level state": it carries no guest state).
 * The engine and the devices may call rv_log(): it never feeds back.
 */
#ifndef RV_BASE_LOG_H
#define RV_BASE_LOG_H

enum rv_log_level { RV_LOG_ERROR, RV_LOG_WARN, RV_LOG_INFO, RV_LOG_DEBUG };

void rv_log_set_level(enum rv_log_level level);
/* printf-like; a newline is added. Lines above the level are dropped. Thread-safe. */
void rv_log(enum rv_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* An assertion that stays on in release: prints file, line, text and aborts. For our own bugs only,
 * never for what a guest, a trace or a peer can cause. */
#define RV_ASSERT(cond) ((cond) ? (void)0 : rv_assert_fail(#cond, __FILE__, __LINE__))
_Noreturn void rv_assert_fail(const char *cond, const char *file, int line);

#endif
