/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a case on both sides and compares: after each return of run() the
 * whole vCPU state, the icount, the stop and the device's log; after each run
 * every page that either side dirtied.
 *
 * The sides stay alive from case to case (their caches are part of what is
 * tested), so a case puts back what it changed: pages by mem_write(), as a
 * DMA would, the rest by set_state().
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/jit/jit.h"

#define PAGES	      (JIT_RAM / RV_PAGE_SIZE)
#define START_ICOUNT  1000u
#define BUDGET_MIN    360u /* the engine runs translated code only if this much is left */
#define MAX_SEGMENTS  600u
#define MAX_PAUSES    24u /* halts and breakpoints of one run */
#define FULL_INTERVAL 64u /* cases between two comparisons of all RAM */
#define MAX_BREAKS    4u

struct jit_break {
	enum engine_break_kind kind;
	uint64_t addr, len;
};

struct jit_twin {
	enum jit_pairing pairing;
	unsigned first; /* 0; 1: there is no side 0 */
	struct jit_side side[2];
	struct jit_pool *pool;
	uint8_t *base;		/* RAM before a case */
	uint8_t touched[PAGES]; /* by this case */
	uint8_t code[2][JIT_MAX_CODE];
	unsigned code_len;
	uint16_t start[JIT_MAX_ITEMS + 1];
	struct jit_break brk[MAX_BREAKS];
	unsigned nbreaks;
	uint64_t cases;
	uint32_t epoch[2];
	struct cpu_state state; /* the run's first */
	struct jit_counts counts;
};

static const struct engine_ops *const ops = &engine_exact_ops;

static void fail(struct jit_result *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void fail(struct jit_result *out, const char *fmt, ...)
{
	size_t used = strlen(out->text);
	va_list ap;

	out->failed = true;
	va_start(ap, fmt);
	vsnprintf(out->text + used, sizeof(out->text) - used, fmt, ap);
	va_end(ap);
}

int jit_twin_init(struct jit_twin **out, enum jit_pairing pairing, uint64_t code_cache)
{
	struct jit_twin *t = calloc(1, sizeof(*t));
	int rc = RV_ENOMEM;

	if (!t)
		return RV_ENOMEM;
	t->pairing = pairing;
	t->first = pairing == JIT_SELF ? 1 : 0;
	t->base = malloc(JIT_RAM);
	t->pool = jit_pool_create();
	if (!t->base || !t->pool)
		goto fail;
	jit_layout_fill(t->base);
	rc = 0;
	if (t->first == 0)
		rc = jit_side_init(&t->side[0], ENGINE_JIT_OFF, 0);
	if (rc == 0)
		rc = jit_side_init(&t->side[1], t->first ? ENGINE_JIT_CHECK : ENGINE_JIT_ON,
				   code_cache);
	if (rc != 0)
		goto fail;
	for (unsigned i = t->first; i < 2; i++)
		mem_write(t->side[i].mem, 0, t->base, JIT_RAM);
	*out = t;
	return 0;
fail:
	jit_twin_fini(t);
	return rc;
}

void jit_twin_fini(struct jit_twin *t)
{
	for (unsigned i = 0; i < 2; i++)
		jit_side_fini(&t->side[i]);
	jit_pool_destroy(t->pool);
	free(t->base);
	free(t);
}

void jit_twin_counts(const struct jit_twin *t, struct jit_counts *out)
{
	struct engine_stats s = {0};

	ops->stats(t->side[1].engine, &s);
	*out = t->counts;
	out->steps = s.steps;
	out->translated = s.jit_steps;
	out->blocks = s.jit_blocks;
	out->flushes = s.jit_flushes;
}

/* ---- memory ---- */

static uint8_t *page_of(const struct jit_side *m, uint64_t p)
{
	return mem_page_host(m->mem, p);
}

/* Makes [len] bytes what they were, writing no more than the differing part. */
static void put_back(struct jit_side *m, gpa_t gpa, const uint8_t *want, size_t len)
{
	const uint8_t *is = page_of(m, gpa / RV_PAGE_SIZE) + gpa % RV_PAGE_SIZE;
	size_t lo = 0, hi = len;

	if (memcmp(is, want, len) == 0)
		return;
	while (is[lo] == want[lo])
		lo++;
	while (is[hi - 1] == want[hi - 1])
		hi--;
	mem_write(m->mem, gpa + lo, want + lo, hi - lo);
}

static void put_code(struct jit_twin *t, const struct jit_case *c)
{
	for (unsigned i = t->first; i < 2; i++)
		put_back(&t->side[i], JIT_GPA_CODE + c->at, t->code[i], t->code_len);
}

static bool page_is_exempt(const struct jit_twin *t, uint64_t p)
{
	return t->pairing == JIT_MUTANT && p >= JIT_GPA_CODE / RV_PAGE_SIZE &&
	       p < JIT_GPA_CODE / RV_PAGE_SIZE + JIT_CODE_PAGES;
}

static void compare_page(struct jit_twin *t, uint64_t p, bool dirty0, bool dirty1,
			 struct jit_result *out)
{
	const uint8_t *a = page_of(&t->side[0], p), *b = page_of(&t->side[1], p);

	if (page_is_exempt(t, p))
		return;
	if (memcmp(a, b, RV_PAGE_SIZE) != 0) {
		unsigned at = 0;

		while (a[at] == b[at])
			at++;
		fail(out, "  RAM %#lx: %02x %02x %02x %02x, translated %02x %02x %02x %02x\n",
		     p * RV_PAGE_SIZE + at, a[at], a[(at + 1) & 4095], a[(at + 2) & 4095],
		     a[(at + 3) & 4095], b[at], b[(at + 1) & 4095], b[(at + 2) & 4095],
		     b[(at + 3) & 4095]);
	} else if (dirty0 && !dirty1 && !t->touched[p] &&
		   memcmp(b, t->base + p * RV_PAGE_SIZE, RV_PAGE_SIZE) != 0) {
		fail(out, "  RAM page %#lx changed, but is not marked dirty\n", p * RV_PAGE_SIZE);
	}
}

static void compare_memory(struct jit_twin *t, struct jit_result *out)
{
	for (uint64_t p = 0; p < PAGES; p++) {
		bool d0 = t->first == 0 && mem_page_epoch(t->side[0].mem, p) == t->epoch[0];
		bool d1 = mem_page_epoch(t->side[1].mem, p) == t->epoch[1];

		if (!d0 && !d1)
			continue;
		if (t->first == 0)
			compare_page(t, p, d0, d1, out);
		t->touched[p] = 1;
	}
}

/* ---- one run ---- */

static int side_run(struct jit_side *m, icount_t until)
{
	return ops->run(m->engine, 0, until, &m->stop);
}

static void compare(struct jit_twin *t, struct jit_result *out)
{
	struct jit_side *a = &t->side[0], *b = &t->side[1];
	char text[4096];

	ops->get_state(b->engine, 0, &b->s);
	if (t->first)
		return;
	ops->get_state(a->engine, 0, &a->s);
	if (a->stop.reason != b->stop.reason)
		fail(out, "  stop reason %d, translated %d\n", (int)a->stop.reason,
		     (int)b->stop.reason);
	else if (a->stop.reason == ENGINE_EXIT_DEBUG && (a->stop.break_kind != b->stop.break_kind ||
							 a->stop.break_addr != b->stop.break_addr))
		fail(out, "  break kind %d at %#lx, translated %d at %#lx\n",
		     (int)a->stop.break_kind, a->stop.break_addr, (int)b->stop.break_kind,
		     b->stop.break_addr);
	if (vclock_icount(a->clock) != vclock_icount(b->clock))
		fail(out, "  icount +%lu, translated +%lu\n",
		     vclock_icount(a->clock) - START_ICOUNT,
		     vclock_icount(b->clock) - START_ICOUNT);
	if (a->dev.log != b->dev.log)
		fail(out, "  device accesses differ: order, value or icount\n");
	if (memcmp(a->dev.pins, b->dev.pins, sizeof(*a->dev.pins)) != 0)
		fail(out, "  pins differ\n");
	if (memcmp(&a->s, &b->s, sizeof(a->s)) != 0 &&
	    jit_report_states(&a->s, &b->s, text, sizeof(text)))
		fail(out, "%s", text);
}

static void raise_event(struct jit_twin *t, struct diff_rng *r)
{
	uint8_t vector = (uint8_t)(JIT_VECTOR_HALT + diff_rng_below(r, 3));
	bool nmi = diff_rng_chance(r, 15);

	for (unsigned i = t->first; i < 2; i++) {
		if (nmi) {
			t->side[i].dev.pins->nmi = true;
		} else {
			t->side[i].dev.vector = vector;
			t->side[i].dev.pins->intr = true;
		}
	}
}

/* Both sides to `until`; the second one perhaps in two parts. */
static void run_segment(struct jit_twin *t, icount_t until, icount_t middle, struct jit_result *out)
{
	struct jit_side *b = &t->side[1];
	int rc;

	if (t->first == 0) {
		rc = side_run(&t->side[0], until);
		if (rc != 0)
			fail(out, "  interpreter: run() returned %d\n", rc);
	}
	if (middle < until) {
		rc = side_run(b, middle);
		if (rc == 0 && b->stop.reason == ENGINE_EXIT_ICOUNT)
			rc = side_run(b, until);
	} else {
		rc = side_run(b, until);
	}
	if (rc != 0)
		fail(out, "  translator: run() returned %d (%s)\n", rc, rv_status_text(rc));
	compare(t, out);
}

static void start_run(struct jit_twin *t, const struct jit_case *c, struct diff_rng *r,
		      struct jit_result *out)
{
	const gpa_t table = JIT_GPA_TABLES + 0x4000;

	jit_state_draw(t->pool, c, r, &t->state);
	if (c->features & JIT_F_RELOAD)
		put_code(t, c);
	for (unsigned i = t->first; i < 2; i++) {
		struct jit_side *m = &t->side[i];

		if (c->features & JIT_F_TABLES)
			put_back(m, table, t->base + table, JIT_NPAGES * 8);
		t->epoch[i] = mem_epoch_advance(m->mem);
		vclock_timer_disarm(m->dev.timer);
		(void)vclock_take_moved(m->clock);
		vclock_set_icount(m->clock, START_ICOUNT);
		memset(m->dev.pins, 0, sizeof(*m->dev.pins));
		m->dev.log = 0;
		m->dev.cr8 = 0;
		m->dev.vector = JIT_VECTOR_HALT;
		ops->break_skip(m->engine, ICOUNT_MAX);
		if (ops->set_state(m->engine, 0, &t->state) != 0)
			fail(out, "  set_state() refused\n");
	}
}

/*
 * A handler halted: goes on behind the instruction that faulted, so that what
 * follows it is tested too. Only for frames on the stacks of the TSS. False:
 * the program had ended, or fault and place are not that simple.
 */
static bool skip_fault(struct jit_twin *t, const struct jit_case *c)
{
	struct cpu_state s = t->side[1].s;
	uint64_t stub = s.rip - 1 - (JIT_HIGH + JIT_GPA_HALT), frame = s.gpr[CPU_RSP] - JIT_HIGH;
	uint64_t word[5], off;
	unsigned i = 0;

	if (c->raw || stub >= 32 * 16 || frame > JIT_RAM - 64)
		return false;
	stub /= 16;
	if (stub == VEC_DF || (stub >= VEC_TS && stub <= VEC_PF) || stub == VEC_AC)
		frame += 8; /* error code */
	for (unsigned k = 0; k < 5; k++)
		memcpy(&word[k],
		       page_of(&t->side[1], (frame + k * 8) / RV_PAGE_SIZE) +
			   (frame + k * 8) % RV_PAGE_SIZE,
		       8);
	off = word[0] - (JIT_CODE + c->at);
	while (i < c->n && off >= t->start[i + 1])
		i++;
	if (i >= c->n)
		return false;
	memcpy(s.seg, t->state.seg, sizeof(s.seg));
	s.rip = JIT_CODE + c->at + t->start[i + 1];
	s.rflags = word[2] & ~(uint64_t)RFLAGS_RF;
	s.gpr[CPU_RSP] = word[3];
	s.activity = CPU_RUNNING;
	for (unsigned k = t->first; k < 2; k++)
		(void)ops->set_state(t->side[k].engine, 0, &s);
	return true;
}

/* False: the run is over. */
static bool after_segment(struct jit_twin *t, const struct jit_case *c, struct diff_rng *r,
			  unsigned *pauses)
{
	struct jit_side *b = &t->side[1];

	switch (b->stop.reason) {
	case ENGINE_EXIT_HALT:
		if (++*pauses >= MAX_PAUSES)
			return false;
		if ((c->features & JIT_F_IRQ) && diff_rng_chance(r, 20)) {
			raise_event(t, r);
			return true;
		}
		return skip_fault(t, c);
	case ENGINE_EXIT_ATTENTION:
		for (unsigned i = t->first; i < 2; i++)
			(void)vclock_take_moved(t->side[i].clock);
		return true;
	case ENGINE_EXIT_DEBUG:
		for (unsigned i = t->first; i < 2; i++)
			ops->break_skip(t->side[i].engine, vclock_icount(t->side[i].clock));
		return ++*pauses < MAX_PAUSES;
	case ENGINE_EXIT_SHUTDOWN:
		return false;
	default:
		return true;
	}
}

static void count_end(struct jit_twin *t)
{
	const struct jit_side *b = &t->side[1];
	uint64_t stub = b->s.rip - 1 - (JIT_HIGH + JIT_GPA_HALT);

	t->counts.runs++;
	if (b->stop.reason == ENGINE_EXIT_ICOUNT)
		t->counts.budget++;
	else if (b->stop.reason == ENGINE_EXIT_HALT && stub < 0x1000)
		t->counts.vector[stub / 16]++;
	else
		t->counts.other++;
}

/* Next to nothing, or just enough for some translated code. */
static unsigned short_budget(struct diff_rng *r)
{
	switch (diff_rng_below(r, 4)) {
	case 0:
		return 1 + diff_rng_below(r, 4);
	case 1:
		return 1 + diff_rng_below(r, 40);
	case 2:
		return BUDGET_MIN - 20 + diff_rng_below(r, 40);
	default:
		return BUDGET_MIN + 1 + diff_rng_below(r, 150);
	}
}

static void run_once(struct jit_twin *t, const struct jit_case *c, unsigned k,
		     struct jit_result *out)
{
	struct diff_rng r;
	icount_t end;
	unsigned pauses = 0;

	diff_rng_seed(&r, c->seed ^ (k + 1) * 0x9e3779b97f4a7c15ull, c->number << 8 | 1);
	start_run(t, c, &r, out);
	end = START_ICOUNT + BUDGET_MIN + diff_rng_below(&r, c->features & JIT_F_LONG ? 1200 : 250);
	for (unsigned n = 0; n < MAX_SEGMENTS && !out->failed; n++) {
		icount_t now = vclock_icount(t->side[1].clock);
		icount_t until = end, middle = ICOUNT_MAX;

		if (now >= end)
			break;
		if ((c->features & JIT_F_SHORT) && diff_rng_chance(&r, 80))
			until = now + short_budget(&r);
		if (until > end)
			until = end;
		if ((c->features & JIT_F_SPLIT) && diff_rng_chance(&r, 60))
			middle = now + diff_rng_below(&r, (unsigned)(until - now));
		if ((c->features & JIT_F_IRQ) && diff_rng_chance(&r, 30))
			raise_event(t, &r);
		if ((c->features & JIT_F_FLUSH) && diff_rng_chance(&r, 30))
			ops->flush(t->side[1].engine);
		run_segment(t, until, middle, out);
		if (!out->failed && !after_segment(t, c, &r, &pauses))
			break;
	}
	out->steps += vclock_icount(t->side[1].clock) - START_ICOUNT;
	compare_memory(t, out);
	count_end(t);
	if (out->failed) {
		out->run = k;
		out->start = t->state;
	}
}

/* ---- a case ---- */

static void set_breaks(struct jit_twin *t, const struct jit_case *c)
{
	struct diff_rng r;
	unsigned exec, data;

	diff_rng_seed(&r, c->seed, c->number << 8 | 2);
	exec = c->features & JIT_F_BREAK ? 1 + diff_rng_below(&r, 2) : 0;
	data = c->features & JIT_F_WATCH ? 1 + diff_rng_below(&r, 2) : 0;
	t->nbreaks = 0;
	for (unsigned i = 0; i < exec; i++) {
		unsigned off = c->raw || diff_rng_chance(&r, 10)
				   ? diff_rng_below(&r, t->code_len)
				   : t->start[diff_rng_below(&r, c->n + 1)];

		t->brk[t->nbreaks++] =
		    (struct jit_break){ENGINE_BREAK_EXEC, JIT_CODE + c->at + off, 1};
	}
	for (unsigned i = 0; i < data; i++) {
		static const enum engine_break_kind kind[] = {ENGINE_BREAK_WRITE, ENGINE_BREAK_READ,
							      ENGINE_BREAK_ACCESS};
		uint64_t addr = jit_gen_address(&r, JIT_CODE + c->at);

		t->brk[t->nbreaks++] = (struct jit_break){kind[diff_rng_below(&r, 3)], addr,
							  1 + diff_rng_below(&r, 200)};
	}
	for (unsigned k = 0; k < t->nbreaks; k++)
		for (unsigned i = t->first; i < 2; i++)
			if (ops->break_set(t->side[i].engine, t->brk[k].kind, t->brk[k].addr,
					   t->brk[k].len) != 0)
				t->brk[k].len = 0;
}

static void clear_breaks(struct jit_twin *t)
{
	for (unsigned k = 0; k < t->nbreaks; k++)
		for (unsigned i = t->first; i < 2; i++)
			if (t->brk[k].len)
				(void)ops->break_clear(t->side[i].engine, t->brk[k].kind,
						       t->brk[k].addr, t->brk[k].len);
	t->nbreaks = 0;
}

static void restore_memory(struct jit_twin *t, struct jit_result *out)
{
	for (uint64_t p = 0; p < PAGES; p++) {
		if (!t->touched[p])
			continue;
		t->touched[p] = 0;
		for (unsigned i = t->first; i < 2; i++)
			put_back(&t->side[i], p * RV_PAGE_SIZE, t->base + p * RV_PAGE_SIZE,
				 RV_PAGE_SIZE);
	}
	if (t->cases++ % FULL_INTERVAL != 0)
		return;
	for (uint64_t p = 0; p < PAGES; p++)
		for (unsigned i = t->first; i < 2; i++)
			if (memcmp(page_of(&t->side[i], p), t->base + p * RV_PAGE_SIZE,
				   RV_PAGE_SIZE)) {
				fail(out, "  side %u: RAM page %#lx changed, but was never dirty\n",
				     i, p * RV_PAGE_SIZE);
				put_back(&t->side[i], p * RV_PAGE_SIZE, t->base + p * RV_PAGE_SIZE,
					 RV_PAGE_SIZE);
			}
}

/* ADC becomes ADD: opcodes 10h-15h, and /2 of 80h, 81h, 83h. */
static void mutate(struct jit_case *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		uint8_t *p = c->item[i].bytes;

		while (*p == 0x64 || *p == 0x65 || *p == 0x66 || *p == 0x67 || *p == 0xf0 ||
		       (*p & 0xfe) == 0xf2 || (*p & 0xf0) == 0x40)
			p++;
		if ((*p & 0xf8) == 0x10 && (*p & 7) < 6)
			*p &= 0xef;
		else if ((*p == 0x80 || *p == 0x81 || *p == 0x83) && (p[1] & 0x38) == 0x10)
			p[1] = (uint8_t)(p[1] & ~0x38);
	}
}

void jit_twin_run(struct jit_twin *t, const struct jit_case *c, struct jit_result *out)
{
	out->failed = false;
	out->run = 0;
	out->steps = 0;
	out->text[0] = 0;
	t->code_len = jit_case_assemble(c, t->code[0], t->start);
	if (t->pairing == JIT_MUTANT) {
		struct jit_case m = *c;

		mutate(&m);
		(void)jit_case_assemble(&m, t->code[1], t->start);
	} else {
		memcpy(t->code[1], t->code[0], t->code_len);
	}
	put_code(t, c);
	for (uint64_t p = (JIT_GPA_CODE + c->at) / RV_PAGE_SIZE;
	     p <= (JIT_GPA_CODE + c->at + t->code_len - 1) / RV_PAGE_SIZE; p++)
		t->touched[p] = 1;
	set_breaks(t, c);
	for (unsigned k = 0; k < c->runs && !out->failed; k++)
		run_once(t, c, k, out);
	clear_breaks(t);
	restore_memory(t, out);
}
