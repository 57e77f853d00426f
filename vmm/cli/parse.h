/* SPDX-License-Identifier: Apache-2.0 */
/* Values of options: numbers, sizes, dates. Every function refuses what it does not take whole. */
#ifndef RV_CLI_PARSE_H
#define RV_CLI_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* Decimal or 0x hexadecimal, no sign, no blanks, no overflow. */
bool parse_u64(const char *text, uint64_t *out);
/* Bytes, or a number with K, M, G or T (1024 each; also KiB, MiB ...). */
bool parse_size(const char *text, uint64_t *out);
/* Seconds with up to nine decimals, at most 10^9: nanoseconds. */
bool parse_seconds(const char *text, uint64_t *ns);
/* A number with s, m or h, at least a second and at most 10^9 s: nanoseconds. */
bool parse_duration(const char *text, uint64_t *ns);
/* YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS, optional Z, UTC, 1970 to 2199: nanoseconds since 1970. */
bool parse_date(const char *text, int64_t *out);

#endif
