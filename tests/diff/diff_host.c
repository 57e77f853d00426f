/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff_host [--seed=N] [--count=N] [--mnemonic=NAME] [--bits=64|32] [--max-reports=N] [--verbose]
 *
 * Runs about `count` instances, the same number of each mnemonic. Exit
 * status 0: all equal and every mnemonic covered; 1: a mismatch, or a
 * mnemonic that is neither compared nor excluded; 2: usage; 77: this host
 * cannot be the oracle.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "tests/diff/diff.h"

#define DEFAULT_SEED  1u
#define DEFAULT_COUNT 1500000u
#define GIVE_UP	      64u /* generation attempts for one instance */

struct options {
	uint64_t seed, count;
	const char *mnemonic;
	unsigned bits, max_reports;
	bool verbose;
};

struct totals {
	uint64_t run, bad, faults, unstable;
	unsigned compared, excluded, elsewhere, uncovered, bad_mnemonics, reports;
};

struct bench {
	const struct options *o;
	struct diff_forms forms;
	struct diff_host *host;
	struct diff_guest *guest;
	struct totals t;
	uint8_t before[DIFF_DATA_SIZE], first[DIFF_DATA_SIZE];
};

static const struct diff_form *pick_form(struct diff_rng *r, const struct diff_form *form, size_t n)
{
	const struct diff_form *f = &form[diff_rng_below(r, (unsigned)n)];

	/* Most forms differ from another one by a prefix without effect. */
	for (unsigned i = 0; i < 4 && f->odd && !diff_rng_chance(r, 10); i++)
		f = &form[diff_rng_below(r, (unsigned)n)];
	return f;
}

static bool bench_case(struct bench *b, struct diff_rng *r, const struct diff_form *form, size_t n,
		       struct diff_case *c)
{
	for (unsigned i = 0; i < GIVE_UP; i++) {
		if (diff_case_generate(c, &b->forms, pick_form(r, form, n), r,
				       diff_host_fs_base(b->host), diff_host_gs_base(b->host),
				       diff_host_data(b->host)))
			return true;
	}
	return false;
}

/*
 * A case differed: runs it once more. Some hypervisors now and then answer a
 * single step that an interrupt hits with a spurious #UD; that is forgiven if
 * the engine gives its first answer again and the host's now agrees with it.
 */
static bool bench_again(struct bench *b, const struct diff_case *c, struct diff_state *host,
			struct diff_state *guest, char *text, size_t size)
{
	uint8_t *host_data = diff_host_data(b->host), *guest_data = diff_guest_data(b->guest);
	struct diff_state first = *guest;

	memcpy(b->first, guest_data, DIFF_DATA_SIZE);
	memcpy(guest_data, b->before, DIFF_DATA_SIZE);
	diff_guest_run(b->guest, c, guest);
	if (!diff_compare(c, &first, guest, b->first, guest_data, text, size)) {
		printf("the engine gave two answers (\"host\" is the first):\n");
		*host = first;
		return true;
	}
	memcpy(host_data, b->before, DIFF_DATA_SIZE);
	diff_host_run(b->host, c, host);
	return !diff_compare(c, host, guest, host_data, guest_data, text, size);
}

static uint64_t bench_mnemonic(struct bench *b, const struct diff_form *form, size_t n,
			       uint64_t count)
{
	uint8_t *host_data = diff_host_data(b->host), *guest_data = diff_guest_data(b->guest);
	struct diff_rng r;
	struct diff_case c;
	struct diff_state host, guest;
	uint64_t done = 0, bad = 0, faults = 0;
	char text[4096];

	diff_rng_seed(&r, b->o->seed, form->mnemonic);
	diff_value_fill(&r, ZYDIS_ELEMENT_TYPE_INT, 8, host_data, DIFF_DATA_SIZE);
	while (done < count && bench_case(b, &r, form, n, &c)) {
		memcpy(guest_data, host_data, DIFF_DATA_SIZE);
		memcpy(b->before, host_data, DIFF_DATA_SIZE);
		diff_guest_run(b->guest, &c, &guest);
		diff_host_run(b->host, &c, &host);
		done++;
		faults += host.vector != DIFF_VECTOR_NONE;
		if (diff_compare(&c, &host, &guest, host_data, guest_data, text, sizeof(text)))
			continue;
		if (b->o->verbose)
			printf("%s: differs, vectors host %x guest %x\n",
			       ZydisMnemonicGetString(form->mnemonic), host.vector, guest.vector);
		if (!bench_again(b, &c, &host, &guest, text, sizeof(text))) {
			b->t.unstable++;
			continue;
		}
		bad++;
		if (b->t.reports < b->o->max_reports && (bad == 1 || b->o->verbose)) {
			b->t.reports++;
			diff_report(&c, &host, &guest, b->before, host_data, guest_data, text);
		}
	}
	b->t.run += done;
	b->t.bad += bad;
	b->t.faults += faults;
	if (bad) {
		b->t.bad_mnemonics++;
		printf("BAD %s: %lu of %lu differ\n", ZydisMnemonicGetString(form->mnemonic), bad,
		       done);
	} else if (b->o->verbose) {
		printf("ok %s: %lu instances, %lu faults, %zu forms\n",
		       ZydisMnemonicGetString(form->mnemonic), done, faults, n);
	}
	fflush(stdout);
	return done;
}

static size_t forms_of(const struct diff_forms *f, unsigned mnemonic,
		       const struct diff_form **first)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (f->form[i].mnemonic == mnemonic && n++ == 0)
			*first = &f->form[i];
	}
	return n;
}

static bool wanted(const struct options *o, unsigned mnemonic)
{
	return !o->mnemonic || strcasecmp(o->mnemonic, ZydisMnemonicGetString(mnemonic)) == 0;
}

static void bench_all(struct bench *b, const struct diff_forms *other)
{
	const struct diff_form *form = NULL;
	unsigned total = 0;

	for (unsigned m = 1; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++)
		total += wanted(b->o, m) && diff_forms_mnemonic_known(m) &&
			 !diff_exclude_mnemonic(m) && forms_of(&b->forms, m, &form) > 0;
	for (unsigned m = 1; m <= ZYDIS_MNEMONIC_MAX_VALUE; m++) {
		const char *why = diff_exclude_mnemonic(m);
		size_t n;

		if (!wanted(b->o, m) || !diff_forms_mnemonic_known(m))
			continue;
		n = forms_of(&b->forms, m, &form);
		if (why) {
			b->t.excluded++;
			if (b->o->verbose)
				printf("excluded %s: %s\n", ZydisMnemonicGetString(m), why);
		} else if (n == 0 && forms_of(other, m, &form) > 0) {
			b->t.elsewhere++;
			if (b->o->verbose)
				printf("not in this mode: %s\n", ZydisMnemonicGetString(m));
		} else if (n == 0 || bench_mnemonic(b, form, n, b->o->count / total + 1) == 0) {
			b->t.uncovered++;
			printf("UNCOVERED %s: neither compared nor excluded\n",
			       ZydisMnemonicGetString(m));
		} else {
			b->t.compared++;
		}
	}
}

static int parse(struct options *o, int argc, char **argv)
{
	static const struct option longopts[] = {
	    {"seed", required_argument, NULL, 's'},
	    {"count", required_argument, NULL, 'c'},
	    {"mnemonic", required_argument, NULL, 'm'},
	    {"bits", required_argument, NULL, 'b'},
	    {"verbose", no_argument, NULL, 'v'},
	    {"max-reports", required_argument, NULL, 'r'},
	    {NULL, 0, NULL, 0},
	};
	int k;

	while ((k = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (k) {
		case 's':
			o->seed = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			o->count = strtoull(optarg, NULL, 0);
			break;
		case 'm':
			o->mnemonic = optarg;
			break;
		case 'b':
			o->bits = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'r':
			o->max_reports = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'v':
			o->verbose = true;
			break;
		default:
			return 2;
		}
	}
	if (optind != argc || (o->bits != 64 && o->bits != 32)) {
		fprintf(stderr,
			"usage: diff_host [--seed=N] [--count=N] [--mnemonic=NAME] [--bits=64|32]"
			" [--max-reports=N] [--verbose]\n");
		return 2;
	}
	return 0;
}

static bool host_is_v2(void)
{
	return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt") &&
	       __builtin_cpu_supports("ssse3");
}

static int report_totals(const struct bench *b, const struct timespec *start)
{
	const struct totals *t = &b->t;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("seed %lu: %lu instances of %u mnemonics in %ld s, %lu faults; %u excluded, %u not "
	       "in this"
	       " mode\n",
	       b->o->seed, t->run, t->compared, (long)(now.tv_sec - start->tv_sec), t->faults,
	       t->excluded, t->elsewhere);
	if (b->o->mnemonic && t->compared + t->excluded + t->elsewhere + t->uncovered == 0) {
		printf("no such mnemonic in the engine's tables: %s\n", b->o->mnemonic);
		return 2;
	}
	if (t->unstable)
		printf("%lu differences did not repeat: the host's answer had changed\n",
		       t->unstable);
	if (t->unstable > t->run / 2000) {
		printf("FAILED: too many of them\n");
		return 1;
	}
	if (t->bad || t->uncovered) {
		printf("FAILED: %lu mismatches in %u mnemonics, %u mnemonics not covered\n", t->bad,
		       t->bad_mnemonics, t->uncovered);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {
	    .seed = DEFAULT_SEED, .count = DEFAULT_COUNT, .bits = 64, .max_reports = 20};
	struct bench b = {.o = &o};
	struct diff_forms other = {0};
	struct timespec start;
	int rc = parse(&o, argc, argv);

	if (rc != 0)
		return rc;
	if (!host_is_v2()) {
		printf("skipped: this host lacks instructions of x86-64-v2\n");
		return 77;
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	printf("seed %lu\n", o.seed);
	rc = diff_host_init(&b.host);
	if (rc != 0) {
		fprintf(stderr, "diff_host: host side: %d\n", rc);
		return 1;
	}
	if (o.bits == 32 && !diff_host_has_32bit(b.host)) {
		printf("skipped: this kernel runs no 32-bit code\n");
		diff_host_fini(b.host);
		return 77;
	}
	rc = diff_guest_init(&b.guest, diff_host_fs_base(b.host), diff_host_gs_base(b.host));
	if (rc == 0) {
		rc = diff_forms_init(&b.forms, o.bits == 32);
		if (rc == 0)
			rc = diff_forms_init(&other, o.bits == 64);
		if (rc == 0)
			bench_all(&b, &other);
		diff_forms_fini(&other);
		diff_forms_fini(&b.forms);
		diff_guest_fini(b.guest);
	}
	diff_host_fini(b.host);
	if (rc != 0) {
		fprintf(stderr, "diff_host: set-up: %d\n", rc);
		return 1;
	}
	return report_totals(&b, &start);
}
