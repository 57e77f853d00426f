/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workloads of the compute bench: one static program, the same file on the
 * host and in every guest.
 *
 *   compute WORKLOAD... [--scale=N]     "all": every one
 *
 * Around each workload it prints, and waits until the line is out,
 *
 *   @begin NAME
 *   @end NAME CHECKSUM SECONDS CPU
 *
 * SECONDS of CLOCK_MONOTONIC and of processor time, children included, as this
 * system sees them. For a guest the bench goes by its own clocks, at the
 * moments these lines arrive. CHECKSUM depends on the scale alone and must be
 * the same everywhere. Input is made before @begin.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TEXT_PATH "/tmp/compute.text"

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "compute: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *buffer(size_t size)
{
	void *p = malloc(size);

	if (!p)
		die("memory");
	return p;
}

/* xorshift64: the same numbers everywhere. */
static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static uint64_t scaled(double scale, double n)
{
	double v = scale * n;

	return v < 1 ? 1 : (uint64_t)v;
}

/* ---- bytecode interpreter ---- */

/*
 * A register machine with 32-bit instructions: operation, a, b, c. Its
 * program counts the steps that all numbers up to a limit take to reach one
 * in Collatz's sequence: dependent loads, unpredictable indirect jumps, what
 * interpreters are made of.
 */
enum op { OP_HALT, OP_MOVI, OP_MOV, OP_ADD, OP_ADDI, OP_SHR, OP_ANDI, OP_MULI, OP_JNZ, OP_JNE, OP_JMP };

struct insn {
	uint8_t op, a, b;
	int8_t c;
};

static const struct insn collatz[] = {
	/* r0 limit, r1 number, r2 value, r3 steps, r4 parity, r5 one */
	{ OP_MOVI, 1, 0, 1 },
	{ OP_MOVI, 3, 0, 0 },
	{ OP_MOVI, 5, 0, 1 },
	/* 3: next number */
	{ OP_MOV, 2, 1, 0 },
	/* 4: next step */
	{ OP_ADDI, 3, 3, 1 },
	{ OP_ANDI, 4, 2, 1 },
	{ OP_JNZ, 4, 0, 3 },   /* odd: 9 */
	{ OP_SHR, 2, 2, 1 },
	{ OP_JMP, 0, 0, 3 },   /* 11 */
	/* 9: odd */
	{ OP_MULI, 2, 2, 3 },
	{ OP_ADDI, 2, 2, 1 },
	/* 11 */
	{ OP_JNE, 2, 5, -7 },  /* 4 */
	{ OP_ADDI, 1, 1, 1 },
	{ OP_JNE, 1, 0, -10 }, /* 3 */
	{ OP_HALT, 3, 0, 0 },
};

static uint64_t interpret(const struct insn *code, uint64_t limit)
{
	uint64_t r[8] = { limit };

	for (const struct insn *i = code;; i++) {
		switch ((enum op)i->op) {
		case OP_HALT:
			return r[i->a & 7];
		case OP_MOVI:
			r[i->a & 7] = (uint64_t)i->c;
			break;
		case OP_MOV:
			r[i->a & 7] = r[i->b & 7];
			break;
		case OP_ADD:
			r[i->a & 7] += r[i->b & 7];
			break;
		case OP_ADDI:
			r[i->a & 7] = r[i->b & 7] + (uint64_t)i->c;
			break;
		case OP_SHR:
			r[i->a & 7] = r[i->b & 7] >> (i->c & 63);
			break;
		case OP_ANDI:
			r[i->a & 7] = r[i->b & 7] & (uint64_t)i->c;
			break;
		case OP_MULI:
			r[i->a & 7] = r[i->b & 7] * (uint64_t)i->c;
			break;
		case OP_JNZ:
			if (r[i->a & 7])
				i += i->c - 1;
			break;
		case OP_JNE:
			if (r[i->a & 7] != r[i->b & 7])
				i += i->c - 1;
			break;
		case OP_JMP:
			i += i->c - 1;
			break;
		}
	}
}

static uint64_t run_interp(double scale, void *data)
{
	(void)data;
	return interpret(collatz, scaled(scale, 220000) + 1);
}

/* ---- gzip: busybox's, on text made of random words ---- */

static void *make_gzip(double scale)
{
	size_t size = scaled(scale, 10e6);
	uint64_t x = 88172645463325252u;
	char words[1024][12];
	FILE *f = fopen(TEXT_PATH, "w");

	if (!f)
		die(TEXT_PATH);
	for (size_t w = 0; w < ARRAY_LEN(words); w++) {
		size_t len = 2 + next_random(&x) % 9;

		for (size_t i = 0; i < len; i++)
			words[w][i] = (char)('a' + next_random(&x) % 26);
		words[w][len] = 0;
	}
	for (size_t n = 0; n < size;) {
		uint64_t r = next_random(&x);
		/* The product of two makes some words more common than others. */
		int len = fprintf(f, "%s%c", words[(r & 1023) * (r >> 10 & 1023) >> 10],
				  r >> 20 & 7 ? ' ' : '\n');

		if (len < 0)
			die(TEXT_PATH);
		n += (size_t)len;
	}
	if (fclose(f))
		die(TEXT_PATH);
	return NULL;
}

static uint64_t run_gzip(double scale, void *data)
{
	const char *busybox = getenv("COMPUTE_BUSYBOX");
	uint8_t piece[65536];
	uint64_t total = 0;
	int out[2], status;
	ssize_t n;
	pid_t pid;

	(void)scale;
	(void)data;
	if (pipe(out) < 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		int in = open(TEXT_PATH, O_RDONLY);

		if (in < 0 || dup2(in, 0) < 0 || dup2(out[1], 1) < 0)
			_exit(127);
		execl(busybox ? busybox : "/bin/busybox", "gzip", "-c", (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	while ((n = read(out[0], piece, sizeof(piece))) > 0)
		total += (uint64_t)n;
	close(out[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("busybox gzip");
	unlink(TEXT_PATH);
	return total;
}

/* ---- pointer chase: one cycle through 16 MiB, a cache line a node ---- */

#define CHASE_NODES ((16u << 20) / 64)

struct node {
	struct node *next;
	uint64_t pad[7];
};

static void *make_chase(double scale)
{
	struct node *nodes = buffer(CHASE_NODES * sizeof(*nodes));
	uint32_t *order = buffer(CHASE_NODES * sizeof(*order));
	uint64_t x = 2463534242u;

	(void)scale;
	for (uint32_t i = 0; i < CHASE_NODES; i++)
		order[i] = i;
	/* Sattolo: a permutation that is one cycle. */
	for (uint32_t i = CHASE_NODES - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(next_random(&x) % i), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	for (uint32_t i = 0; i < CHASE_NODES; i++)
		nodes[i].next = &nodes[order[i]];
	free(order);
	return nodes;
}

static uint64_t run_chase(double scale, void *data)
{
	const struct node *begin = data, *p = begin;

	for (uint64_t n = scaled(scale, 2e6); n; n--)
		p = p->next;
	return (uint64_t)(p - begin);
}

/* ---- memcpy ---- */

#define COPY_SIZE (64u << 20)

static void *make_memcpy(double scale)
{
	uint64_t *from = buffer(2 * COPY_SIZE);
	uint64_t x = 1;

	(void)scale;
	/* All pages are there before the clock starts, and none is the zero page. */
	memset(from, 1, 2 * COPY_SIZE);
	for (size_t i = 0; i < COPY_SIZE / 8; i += 512)
		from[i] = next_random(&x);
	return from;
}

static uint64_t run_memcpy(double scale, void *data)
{
	uint8_t *from = data, *to = from + COPY_SIZE;
	uint64_t sum = 0;
	/* Pieces, so that a small scale copies less than everything once. */
	const size_t piece = 1u << 20;

	for (uint64_t n = scaled(scale, 64 * 60), i = 0; i < n; i++) {
		size_t at = (i * piece) % COPY_SIZE;

		memcpy(to + at, from + at, piece);
		sum += to[at + (i & 63) * 4096];
	}
	return sum;
}

/* ---- matrix multiply ---- */

#define MATRIX 160u

static void *make_matrix(double scale)
{
	double *m = buffer(3 * MATRIX * MATRIX * sizeof(*m));
	uint64_t x = 7;

	(void)scale;
	for (size_t i = 0; i < 2 * MATRIX * MATRIX; i++)
		m[i] = (double)(next_random(&x) % 1024) / 1024;
	return m;
}

static uint64_t run_matrix(double scale, void *data)
{
	double *a = data, *b = a + MATRIX * MATRIX, *c = b + MATRIX * MATRIX;
	uint64_t bits;

	/* Rows of one times columns of the other; a small scale does some of the rows. */
	for (uint64_t n = scaled(scale, 120 * MATRIX), k = 0; k < n; k++) {
		size_t i = k % MATRIX;

		for (size_t j = 0; j < MATRIX; j++) {
			double sum = 0;

			for (size_t l = 0; l < MATRIX; l++)
				sum += a[i * MATRIX + l] * b[l * MATRIX + j];
			c[i * MATRIX + j] = sum;
		}
		/* The next round must not be the same work, or a compiler might notice. */
		a[i * MATRIX] = c[i * MATRIX + (k & 127)] / 64;
	}
	memcpy(&bits, &c[0], sizeof(bits));
	return bits;
}

/* ---- system calls ---- */

static uint64_t run_syscall(double scale, void *data)
{
	uint64_t n = scaled(scale, 2e5), sum = 0;
	int null = open("/dev/null", O_WRONLY);

	(void)data;
	if (null < 0)
		die("/dev/null");
	for (uint64_t i = 0; i < n; i++) {
		sum += syscall(SYS_getppid) >= 0;
		sum += (uint64_t)write(null, "x", 1);
	}
	close(null);
	return sum;
}

/* ---- fork + exec ---- */

static uint64_t run_forkexec(double scale, void *data)
{
	uint64_t sum = 0;

	(void)data;
	for (uint64_t n = scaled(scale, 60); n; n--) {
		pid_t pid = fork();
		int status;

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			execl("/proc/self/exe", "compute", "nothing", (char *)NULL);
			_exit(127);
		}
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
			die("wait");
		sum += (uint64_t)WEXITSTATUS(status);
	}
	return sum;
}

/* ---- pipe ping-pong ---- */

static uint64_t run_pipe(double scale, void *data)
{
	uint64_t n = scaled(scale, 15e3), sum = 0;
	int there[2], back[2];
	uint8_t c = 0;
	pid_t pid;

	(void)data;
	if (pipe(there) < 0 || pipe(back) < 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		close(there[1]);
		while (read(there[0], &c, 1) == 1) {
			c++;
			if (write(back[1], &c, 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	close(there[0]);
	close(back[1]);
	for (uint64_t i = 0; i < n; i++) {
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			die("pipe");
		sum += c;
	}
	close(there[1]);
	close(back[0]);
	waitpid(pid, NULL, 0);
	return sum;
}

/* ---- */

static const struct workload {
	const char *name;
	void *(*make)(double scale); /* may be NULL */
	uint64_t (*run)(double scale, void *data);
} workloads[] = {
	{ "interp", NULL, run_interp },
	{ "gzip", make_gzip, run_gzip },
	{ "chase", make_chase, run_chase },
	{ "memcpy", make_memcpy, run_memcpy },
	{ "matrix", make_matrix, run_matrix },
	{ "syscall", NULL, run_syscall },
	{ "forkexec", NULL, run_forkexec },
	{ "pipe", NULL, run_pipe },
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double cpu_now(void)
{
	struct rusage self, children;

	if (getrusage(RUSAGE_SELF, &self) < 0 || getrusage(RUSAGE_CHILDREN, &children) < 0)
		die("getrusage");
	return seconds(self.ru_utime) + seconds(self.ru_stime) + seconds(children.ru_utime) +
	       seconds(children.ru_stime);
}

/* A serial line sends slowly, by interrupts: what was said must be gone before the work goes on. */
static void said(void)
{
	fflush(stdout);
	(void)tcdrain(STDOUT_FILENO); /* ENOTTY is fine */
}

static void run(const struct workload *w, double scale)
{
	void *data = w->make ? w->make(scale) : NULL;
	uint64_t sum;
	double begin, cpu;

	printf("@begin %s\n", w->name);
	said();
	begin = now();
	cpu = cpu_now();
	sum = w->run(scale, data);
	cpu = cpu_now() - cpu;
	begin = now() - begin;
	printf("@end %s %llx %.6f %.6f\n", w->name, (unsigned long long)sum, begin, cpu);
	said();
	free(data);
}

int main(int argc, char **argv)
{
	double scale = 1;
	int unknown = 0;

	if (argc == 2 && !strcmp(argv[1], "nothing"))
		return 7;
	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "--scale=", 8))
			scale = atof(argv[i] + 8);
	}
	if (!(scale > 0 && scale <= 1000)) {
		fputs("compute: --scale: must be above 0, at most 1000\n", stderr);
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		int found = !strncmp(argv[i], "--scale=", 8);

		for (size_t w = 0; w < ARRAY_LEN(workloads); w++) {
			if (strcmp(argv[i], "all") != 0 && strcmp(argv[i], workloads[w].name) != 0)
				continue;
			run(&workloads[w], scale);
			found = 1;
		}
		unknown += !found;
	}
	if (unknown || argc < 2) {
		fputs("usage: compute WORKLOAD... [--scale=N]\nworkloads: all", stderr);
		for (size_t w = 0; w < ARRAY_LEN(workloads); w++)
			fprintf(stderr, " %s", workloads[w].name);
		fputc('\n', stderr);
		return 2;
	}
	return 0;
}
