/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void stats_begin(struct stats *s)
{
	s->host_begin_ns = clock_ns(CLOCK_MONOTONIC);
	s->cpu_begin_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void stats_end(struct stats *s)
{
	s->host_ns += clock_ns(CLOCK_MONOTONIC) - s->host_begin_ns;
	s->cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - s->cpu_begin_ns;
}

void stats_print(const struct stats *s, const char *command, const struct machine *m,
		 uint64_t log_bytes)
{
	struct engine_stats e = { 0 };
	struct rusage usage = { 0 };
	double cpu = (double)s->cpu_ns / 1e9;

	machine_stats(m, &e);
	getrusage(RUSAGE_SELF, &usage);
	fprintf(stderr,
		"{\"command\": \"%s\", \"icount\": %" PRIu64 ", \"vns\": %" PRIu64
		", \"host_seconds\": %.6f, \"vcpu_cpu_seconds\": %.6f, \"mips\": %.3f"
		", \"log_bytes\": %" PRIu64 ", \"blocks_built\": %" PRIu64 ", \"tlb_misses\": %" PRIu64
		", \"tlb_flushes\": %" PRIu64 ", \"jit_steps\": %" PRIu64 ", \"jit_blocks\": %" PRIu64
		", \"jit_bytes\": %" PRIu64 ", \"jit_flushes\": %" PRIu64 ", \"max_rss_kib\": %ld}\n",
		command, machine_icount(m), machine_vns(m), (double)s->host_ns / 1e9, cpu,
		cpu > 0 ? (double)machine_icount(m) / cpu / 1e6 : 0.0, log_bytes, e.blocks_built,
		e.tlb_misses, e.tlb_flushes, e.jit_steps, e.jit_blocks, e.jit_bytes, e.jit_flushes,
		usage.ru_maxrss);
}
