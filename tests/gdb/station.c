/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program of the transcript in docs/time-travel.md: a process of a Debian
 * guest that damages a pointer and stumbles over it later. Every copy of it has
 * its variables at the same addresses.
 *
 *   station MEASUREMENTS REMEMBERED
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

struct reading {
	struct reading *before;
	long value;
};

struct {
	long recent[8];
	struct reading *newest;
} station;

static int filled;

__attribute__((noinline)) void take_reading(long value)
{
	struct reading *r = malloc(sizeof(*r));

	if (!r)
		exit(1);
	r->value = value;
	r->before = station.newest;
	station.newest = r;
	sched_yield();
}

/* The error: recent[] has 8 elements. */
__attribute__((noinline)) void remember(long value)
{
	station.recent[filled++] = value;
}

__attribute__((noinline)) long value_of(const struct reading *r)
{
	return r->value;
}

__attribute__((noinline)) long total(void)
{
	long sum = 0;
	for (const struct reading *r = station.newest; r; r = r->before)
		sum += value_of(r);
	return sum;
}

int main(int argc, char **argv)
{
	int measurements = argc > 2 ? atoi(argv[1]) : 100;
	int remembered = argc > 2 ? atoi(argv[2]) : 8;

	for (int i = 0; i < measurements; i++)
		take_reading(20 + i % 5);
	for (int i = 0; i < remembered; i++)
		remember(20 + i % 5);
	for (int i = 0; i < 200; i++) /* others run meanwhile */
		sched_yield();
	printf("%d measurements: total %ld\n", measurements, total());
	return 0;
}
