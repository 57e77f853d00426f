/* SPDX-License-Identifier: Apache-2.0 */
/* Printing bytes that a guest, a trace or a file name chose: nothing in them reaches a terminal raw. */
#ifndef RV_CLI_TEXT_H
#define RV_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Printable ASCII as it is; \n \r \t \\ \" and \xNN for the rest. */
void text_print_escaped(FILE *out, const void *data, size_t len);
/* A JSON string with its quotes (RFC 8259); bytes outside ASCII are taken as Latin-1. */
void text_print_json(FILE *out, const char *s);
/* UTC, "2024-01-01 00:00:00". ns since 1970. */
void text_print_date(FILE *out, int64_t ns);
/* 4194304 -> "4 MiB"; exact bytes when no unit fits whole. */
void text_print_size(FILE *out, uint64_t bytes);

#endif
