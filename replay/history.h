/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of a log in memory, served by position: the inbound port of a
 * timeline. It has no cursor: the machine's own count of applied events is
 * the index, so a restored checkpoint is served right without being told.
 */
#ifndef RV_REPLAY_HISTORY_H
#define RV_REPLAY_HISTORY_H

#include "port/nondet.h"
#include "record/evlog.h"

struct history;

int history_create(struct history **out, struct evlog_reader *reader, struct rv_err *err);
void history_destroy(struct history *h);
/* While silent no event is served: the machine runs on its own, as a throw-away copy does. */
void history_silence(struct history *h, bool silent);
struct nondet *history_nondet(struct history *h);
icount_t history_end(const struct history *h); /* the last position of the log */
uint64_t history_count(const struct history *h);
/* Event i (0 .. count - 1); borrowed. */
const struct evlog_record *history_event(const struct history *h, uint64_t i);

#endif
