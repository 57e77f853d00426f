/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define PERIOD (SECOND / 4)

uint64_t progress_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

void progress_begin(struct progress *p, bool wanted, icount_t total)
{
	*p = (struct progress){ .on = wanted && isatty(STDERR_FILENO), .total = total };
	p->begin_ns = progress_now_ns();
	p->next_ns = p->begin_ns + SECOND;
}

void progress_update(struct progress *p, icount_t icount)
{
	uint64_t now;
	double seconds, speed;

	if (!p->on)
		return;
	now = progress_now_ns();
	if (now < p->next_ns)
		return;
	p->next_ns = now + PERIOD;
	seconds = (double)(now - p->begin_ns) / 1e9;
	speed = (double)icount / seconds;
	if (p->total && icount <= p->total && icount)
		fprintf(stderr, "\r%5.1f %%  icount %" PRIu64 "  %.1f MIPS  %.0f s left\033[K",
			100.0 * (double)icount / (double)p->total, icount, speed / 1e6,
			(double)(p->total - icount) / speed);
	else
		fprintf(stderr, "\ricount %" PRIu64 "  %.1f MIPS\033[K", icount, speed / 1e6);
	p->shown = true;
}

void progress_end(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->on = p->shown = false;
}
