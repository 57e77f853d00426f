/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jit_vectors [--only=PART-OF-NAME] [--check] [--verbose]
 *
 * The fixed programs of vectors.h, each at CPL 3 and CPL 0, once through and
 * as a loop, with several kinds of disturbance, often enough to become hot.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/jit/jit.h"
#include "tests/jit/vectors.h"

#define RUNS	     64u
#define HANG_SECONDS 30u

#define VECTOR_CODE(name, more, offset, text)                                                      \
	extern const uint8_t v_##name[], v_##name##_end[];                                         \
	__asm__(".pushsection .rodata\nv_" #name ":\n" text "\nv_" #name "_end:\n.popsection");
JIT_VECTORS_INT(VECTOR_CODE)
JIT_VECTORS_FLOW(VECTOR_CODE)
JIT_VECTORS_STRING(VECTOR_CODE)
JIT_VECTORS_SSE(VECTOR_CODE)
JIT_VECTORS_SYSTEM(VECTOR_CODE)

struct vector {
	const char *name;
	const uint8_t *code, *end;
	uint32_t features, at;
};

static const struct vector vectors[] = {
#define VECTOR_LINE(name, more, offset, text) {#name, v_##name, v_##name##_end, more, offset},
	JIT_VECTORS_INT(VECTOR_LINE) JIT_VECTORS_FLOW(VECTOR_LINE) JIT_VECTORS_STRING(VECTOR_LINE)
	JIT_VECTORS_SSE(VECTOR_LINE) JIT_VECTORS_SYSTEM(VECTOR_LINE)};

struct found {
	uint64_t seed, number;
	uint32_t features;
	unsigned runs;
	uint32_t at;
	const uint8_t *code;
	unsigned len;
};

static const struct found founds[] = {
#define FOUND_LINE(seed, number, features, runs, at, ...)                                          \
	{seed,                                                                                     \
	 number,                                                                                   \
	 features,                                                                                 \
	 runs,                                                                                     \
	 at,                                                                                       \
	 (const uint8_t[]){__VA_ARGS__},                                                           \
	 sizeof((const uint8_t[]){__VA_ARGS__})},
	JIT_VECTORS_FOUND(FOUND_LINE)};

/* What the process of one vector tells its parent. */
struct progress {
	struct jit_case c; /* being run; its code in bytes */
	uint8_t bytes[JIT_MAX_CODE];
	struct jit_result result;
	struct jit_counts counts;
};

static bool run_case(struct jit_twin *t, struct progress *p)
{
	memcpy(p->bytes, p->c.raw, p->c.raw_len);
	p->c.raw = p->bytes;
	jit_twin_run(t, &p->c, &p->result);
	return !p->result.failed;
}

/* What happens around the program, besides CPL 0 and 3. */
static const uint32_t disturbances[] = {
	JIT_F_RELOAD | JIT_F_LONG,
	JIT_F_RELOAD | JIT_F_SHORT | JIT_F_SPLIT,
	JIT_F_RELOAD | JIT_F_TABLES | JIT_F_IDT1 | JIT_F_IRQ | JIT_F_SPLIT,
	JIT_F_LONG | JIT_F_FLUSH | JIT_F_TABLES | JIT_F_SHORT,
	JIT_F_RELOAD | JIT_F_TF,
	JIT_F_RELOAD | JIT_F_BREAK | JIT_F_WATCH,
};

/* The program once, or in a loop counted by R15. */
static bool prepare(const struct vector *v, bool loop, uint8_t *code, struct jit_case *c)
{
	unsigned len = (unsigned)(v->end - v->code);
	int32_t back;

	if (len + 16 > JIT_MAX_CODE)
		return false;
	memcpy(code, v->code, len);
	if (loop) {
		memcpy(code + len, "\x41\xff\xcf\x0f\x85", 5); /* dec r15d; jnz start */
		len += 9;
		back = -(int32_t)len;
		memcpy(code + len - 4, &back, 4);
	}
	c->raw = code;
	c->raw_len = len;
	c->at = v->at;
	c->runs = RUNS;
	c->seed = 7;
	return true;
}

/* All cases of a vector; stops at the first that fails. */
static bool run_vector(const struct vector *v, struct jit_twin *t, struct progress *p)
{
	uint8_t code[JIT_MAX_CODE];

	for (unsigned k = 0; k < RV_ARRAY_LEN(disturbances) * 4; k++) {
		struct jit_case *c = &p->c;

		memset(c, 0, sizeof(*c));
		c->number = k;
		if (!prepare(v, k & 1, code, c))
			return false;
		c->features = disturbances[k / 4] | v->features | (k & 2 ? JIT_F_CPL0 : 0);
		if (k & 1)
			c->features |= JIT_F_LONG;
		if (!run_case(t, p))
			return false;
	}
	return true;
}

static bool run_found(const struct found *f, struct jit_twin *t, struct progress *p)
{
	p->c = (struct jit_case){.seed = f->seed,
				 .number = f->number,
				 .features = f->features,
				 .runs = f->runs,
				 .at = f->at,
				 .raw = f->code,
				 .raw_len = f->len};
	return run_case(t, p);
}

/* A vector (or a found one) in a process and on machines of its own: true if all was equal. */
static bool run_apart(const char *name, const struct vector *v, const struct found *f,
		      enum jit_pairing pairing, struct progress *p)
{
	int status = 0;
	pid_t pid;

	memset(p, 0, sizeof(*p));
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct jit_twin *t;
		bool good;

		alarm(HANG_SECONDS);
		if (jit_twin_init(&t, pairing, 0) != 0)
			_exit(2);
		good = v ? run_vector(v, t, p) : run_found(f, t, p);
		jit_twin_counts(t, &p->counts);
		jit_twin_fini(t);
		_exit(good ? 0 : 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	if (status == 0)
		return true;
	if (WIFSIGNALED(status))
		printf("FAILED %s: signal %d%s\n", name, WTERMSIG(status),
		       WTERMSIG(status) == SIGALRM ? " (no end)" : "");
	else
		printf("FAILED %s: status %d\n", name, WEXITSTATUS(status));
	if (p->c.raw) {
		p->c.raw = p->bytes;
		jit_report_case(&p->c);
		printf("run %u:\n%s", p->result.run, p->result.text);
	}
	return false;
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {
	    {"only", required_argument, NULL, 'o'},
	    {"check", no_argument, NULL, 'k'},
	    {"verbose", no_argument, NULL, 'v'},
	    {NULL, 0, NULL, 0},
	};
	const char *only = NULL;
	enum jit_pairing pairing = JIT_PAIR;
	const struct jit_counts none = {0};
	struct progress *p;
	uint64_t steps = 0, translated = 0;
	bool verbose = false;
	unsigned bad = 0, done = 0;
	int k;

	while ((k = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (k == 'o')
			only = optarg;
		else if (k == 'k')
			pairing = JIT_SELF;
		else if (k == 'v')
			verbose = true;
		else
			return 2;
	}
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < RV_ARRAY_LEN(vectors) + RV_ARRAY_LEN(founds); i++) {
		const struct vector *v = i < RV_ARRAY_LEN(vectors) ? &vectors[i] : NULL;
		const struct found *f = v ? NULL : &founds[i - RV_ARRAY_LEN(vectors)];
		char name[40];

		if (v)
			snprintf(name, sizeof(name), "%s", v->name);
		else
			snprintf(name, sizeof(name), "found_%zu", i - RV_ARRAY_LEN(vectors));
		if (only && !strstr(name, only))
			continue;
		bad += !run_apart(name, v, f, pairing, p);
		done++;
		steps += p->counts.steps;
		translated += p->counts.translated;
		if (verbose) {
			printf("%s: ", name);
			jit_report_ends(&none, &p->counts);
		}
	}
	munmap(p, sizeof(*p));
	printf("%u vectors, %u failed; %lu instructions, %lu translated\n", done, bad, steps,
	       translated);
	return bad ? 1 : 0;
}
