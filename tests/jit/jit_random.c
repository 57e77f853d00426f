/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jit_random [--seed=N] [--case=N] [--instances=N] [--seconds=S] [--only=PART-OF-MNEMONIC]
 *            [--check] [--mutant] [--small-cache] [--keep-going] [--verbose]
 *
 * Runs random cases until so many instructions were executed and compared, or
 * so many seconds have passed. Exit status 0: all equal; 1: a difference,
 * printed and made small; 2: usage. --mutant makes one side wrong on purpose
 * and is successful (0) if that is found.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/jit/jit.h"

#define RENEW_CASES 20000u /* new engines after so many; every second pair has a small code cache  \
			    */
#define SMALL_CACHE  (1ull << 20)
#define HANG_SECONDS 120u
#define CLOCK_CASES  16u /* cases between two looks at the clock */
#define MAX_FAILURES 20u

struct options {
	uint64_t seed, first, instances;
	double seconds;
	const char *only;
	enum jit_pairing pairing;
	bool one, small, keep_going, verbose;
};

/* What the working process tells its parent, which lives on if it dies. */
struct progress {
	uint64_t next; /* the case being run */
	uint64_t cases;
	struct jit_counts counts;
	uint64_t steps;
	bool done;
	struct jit_result result;
};

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_counts(const struct jit_twin *t, struct progress *p,
		       const struct jit_counts *before)
{
	struct jit_counts n;

	jit_twin_counts(t, &n);
	n.steps += before->steps;
	n.translated += before->translated;
	n.blocks += before->blocks;
	n.flushes += before->flushes;
	n.runs += before->runs;
	n.budget += before->budget;
	n.other += before->other;
	for (unsigned i = 0; i < 256; i++)
		n.vector[i] += before->vector[i];
	p->counts = n;
}

/* Exit status of the working process: 0 done, 1 a case failed, 2 could not start. */
static int work(const struct options *o, struct jit_gen *g, struct progress *p, double end)
{
	struct jit_twin *t = NULL;
	struct jit_counts before = p->counts;
	struct jit_case c;

	for (uint64_t n = 0;; n++) {
		if (n % RENEW_CASES == 0) {
			bool small = o->small || (n / RENEW_CASES) % 2 == 1;

			before = p->counts;
			if (t)
				jit_twin_fini(t);
			if (jit_twin_init(&t, o->pairing, small ? SMALL_CACHE : 0) != 0)
				return 2;
		}
		if (n % 4096 == 0)
			alarm(HANG_SECONDS);
		jit_gen_case(g, o->seed, p->next, &c);
		jit_twin_run(t, &c, &p->result);
		p->steps += p->result.steps;
		p->cases++;
		if (n % CLOCK_CASES == 0 || p->result.failed)
			add_counts(t, p, &before);
		if (p->result.failed)
			return 1;
		p->next++;
		if (o->one || p->steps >= o->instances ||
		    (n % CLOCK_CASES == 0 && seconds_now() >= end))
			break;
	}
	add_counts(t, p, &before);
	jit_twin_fini(t);
	p->done = true;
	return 0;
}

static void report_failure(const struct options *o, struct jit_gen *g, struct progress *p,
			   const char *how)
{
	struct jit_result *r = malloc(sizeof(*r));
	struct jit_case c;

	jit_gen_case(g, o->seed, p->next, &c);
	printf("FAILED seed %lu case %lu: %s\n", o->seed, p->next, how);
	if (o->verbose)
		jit_report_case(&c);
	if (!r)
		return;
	if (jit_try(&c, o->pairing, r) == JIT_END_EQUAL) {
		printf(
		    "not alone, on new machines: it depends on the cases before it. As it was:\n");
		jit_report_case(&c);
		printf("run %u:\n%s", p->result.run, p->result.text);
	} else {
		jit_shrink(&c, o->pairing, r);
		jit_report_case(&c);
		printf("run %u:\n%s", r->run, r->text);
		jit_report_vector(&c);
	}
	fflush(stdout);
	free(r);
}

static void report_totals(const struct options *o, const struct progress *p, double start)
{
	double s = seconds_now() - start;

	printf("seed %lu: %lu instances in %lu cases, %.1f s, %.0f instances/s; "
	       "translated %.1f %%, %lu blocks, %lu code flushes\n",
	       o->seed, p->steps, p->cases, s, (double)p->steps / s,
	       p->counts.steps ? 100.0 * (double)p->counts.translated / (double)p->counts.steps : 0,
	       p->counts.blocks, p->counts.flushes);
	if (o->verbose)
		jit_report_ends(&(struct jit_counts){0}, &p->counts);
}

/* Returns the number of failures. */
static unsigned supervise(const struct options *o, struct jit_gen *g, struct progress *p)
{
	double start = seconds_now();
	double end = o->seconds > 0 ? start + o->seconds : 1e300;
	unsigned failures = 0;

	p->next = o->first;
	while (!p->done && p->steps < o->instances) {
		char how[64];
		int status = 0;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (pid == 0)
			_exit(work(o, g, p, end));
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return failures + 1;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			break;
		if (WIFSIGNALED(status))
			snprintf(how, sizeof(how), "signal %d", WTERMSIG(status));
		else
			snprintf(how, sizeof(how), "status %d", WEXITSTATUS(status));
		failures++;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
			printf("could not make the machines\n");
			return failures;
		}
		report_failure(o, g, p, how);
		if (o->one || !o->keep_going || failures >= MAX_FAILURES)
			break;
		p->next++;
	}
	report_totals(o, p, start);
	return failures;
}

static int usage(void)
{
	fprintf(stderr, "usage: jit_random [--seed=N] [--case=N] [--instances=N] [--seconds=S]"
			" [--only=TEXT] [--check] [--mutant] [--small-cache] [--keep-going]"
			" [--verbose]\n");
	return 2;
}

static int parse(struct options *o, int argc, char **argv)
{
	static const struct option longopts[] = {
	    {"seed", required_argument, NULL, 's'},
	    {"case", required_argument, NULL, 'c'},
	    {"instances", required_argument, NULL, 'i'},
	    {"seconds", required_argument, NULL, 't'},
	    {"only", required_argument, NULL, 'o'},
	    {"check", no_argument, NULL, 'k'},
	    {"mutant", no_argument, NULL, 'm'},
	    {"small-cache", no_argument, NULL, 'S'},
	    {"keep-going", no_argument, NULL, 'g'},
	    {"verbose", no_argument, NULL, 'v'},
	    {NULL, 0, NULL, 0},
	};
	int k;

	while ((k = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (k) {
		case 's':
			o->seed = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			o->first = strtoull(optarg, NULL, 0);
			o->one = true;
			break;
		case 'i':
			o->instances = strtoull(optarg, NULL, 0);
			break;
		case 't':
			o->seconds = strtod(optarg, NULL);
			break;
		case 'o':
			o->only = optarg;
			break;
		case 'k':
			o->pairing = JIT_SELF;
			break;
		case 'm':
			o->pairing = JIT_MUTANT;
			break;
		case 'S':
			o->small = true;
			break;
		case 'g':
			o->keep_going = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		default:
			return usage();
		}
	}
	return optind == argc ? 0 : usage();
}

int main(int argc, char **argv)
{
	struct options o = {.seed = 1, .instances = UINT64_MAX, .pairing = JIT_PAIR};
	struct progress *p;
	struct jit_gen *g;
	unsigned failures;
	int rc = parse(&o, argc, argv);

	if (rc != 0)
		return rc;
	if (o.instances == UINT64_MAX && o.seconds <= 0 && !o.one)
		o.seconds = 20;
	rc = jit_gen_init(&g, o.only);
	if (rc != 0) {
		fprintf(stderr, "jit_random: %s\n",
			rc == RV_ENOENT ? "no instruction has that name" : rv_status_text(rc));
		return 2;
	}
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		jit_gen_fini(g);
		return 1;
	}
	failures = supervise(&o, g, p);
	munmap(p, sizeof(*p));
	jit_gen_fini(g);
	if (o.pairing == JIT_MUTANT) {
		printf(failures ? "found, as it must be\n" : "the wrong side was not found\n");
		return failures ? 0 : 1;
	}
	return failures ? 1 : 0;
}
