/* SPDX-License-Identifier: Apache-2.0 */
/* The scalar words of the project. docs/GLOSSARY in README: icount, exec_point, vns. */
#ifndef RV_BASE_TYPES_H
#define RV_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t gpa_t;    /* guest-physical address */
typedef uint64_t icount_t; /* completed steps of the whole machine, see README "Words" */
typedef uint64_t vns_t;    /* virtual nanoseconds since power-on */

#define ICOUNT_MAX UINT64_MAX
#define VNS_NEVER UINT64_MAX

#define RV_PAGE_SHIFT 12u
#define RV_PAGE_SIZE 4096u

/* A position in history. Order: icount first, then seq (nd_events applied so far). */
struct exec_point {
	icount_t icount;
	uint64_t seq;
};

#define RV_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
