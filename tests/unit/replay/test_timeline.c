/* SPDX-License-Identifier: Apache-2.0 */
/* Motions on small traces laid out by hand: what hostile and damaged ones must not do, and whose watchpoint
 * a hit is. */
#include "ckpt_guest.h"

#include "record/ckpt.h"
#include "replay/timeline.h"

#define ENTRY 0x100010u /* of the guest, flat 32-bit, interrupts off */

struct line {
	char *dir, path[256];
	struct trace *trace;
	struct evlog_reader *reader;
	struct timeline *line;
};

/* A trace of a guest with this code, up to `end`; event: one more record before, or NULL. */
static void line_make(struct line *l, const void *code, size_t len, const struct evlog_record *event,
		      icount_t end)
{
	struct evlog_writer_cfg cfg = { .sync = EVLOG_SYNC_NONE };
	struct evlog_record last = { .at = { end, event ? 1 : 0 }, .kind = EVLOG_END };
	const struct evlog_end how = { .end = MACHINE_END_STOPPED };
	uint8_t image[IMAGE_MAX], payload[224];
	struct trace_manifest m;
	struct evlog_writer *w;
	struct rv_err err = { 0 };

	l->dir = scratch_make();
	snprintf(l->path, sizeof(l->path), "%s/t", l->dir);
	trace_manifest_sample(&m);
	m.memory = GUEST_MEMORY;
	m.initrd_len = 0;
	m.date = 0; /* as ckpt_machine() */
	m.cmdline[0] = 0;
	m.kernel_len = image_multiboot(image);
	memcpy(image + 4096 + 16, code, len);
	evlog_end_encode(&how, payload, &last.len);
	last.data = payload;
	if (evlog_writer_create(&w, l->path, &m, image, NULL, &cfg, &err) ||
	    (event && evlog_writer_append(w, event)) || evlog_writer_append(w, &last) ||
	    evlog_writer_finish(w, &err) || trace_open(&l->trace, l->path, &err))
		fail_msg("%s", err.text);
	evlog_writer_destroy(w);
	trace_manifest_fini(&m);
}

static void line_open(struct line *l)
{
	const struct timeline_cfg cfg = { .checkpoint_memory = 0 };
	struct rv_err err = { 0 };
	if (evlog_reader_open(&l->reader, l->trace, &err) ||
	    timeline_open(&l->line, l->trace, l->reader, NULL, &cfg, &err))
		fail_msg("%s", err.text);
}

static void line_close(struct line *l)
{
	timeline_close(l->line);
	evlog_reader_close(l->reader);
	trace_close(l->trace);
	scratch_remove(l->dir);
}

static bool poll_third(void *ctx)
{
	unsigned *n = ctx;
	return ++*n % 3 == 0;
}

/* The log says that a byte came 36 years into a halt from which the PIT does not wake: nothing to be
 * faster at, but the user can end it, in every motion. */
static void test_halt_ticks(void **state)
{
	static const uint8_t code[] = { 0xb0, 0x34, 0xe6, 0x43, 0xb0, 0x10, 0xe6,
					0x40, 0xb0, 0,    0xe6, 0x40, 0xf4, 0x90, 0x90 };
	const struct evlog_record byte = { .at = { 7, 0 }, .kind = ND_CONSOLE, .in_halt = true,
					   .vns = 1ull << 60, .data = (const uint8_t *)"x", .len = 1 };
	unsigned polls = 0;
	const struct timeline_poll poll = { poll_third, &polls };
	struct debug_stop stop;
	struct line l;
	(void)state;
	line_make(&l, code, sizeof(code), &byte, 1000);
	line_open(&l);
	alarm(60);
	assert_int_equal(timeline_seek(l.line, 500, poll, &stop), 0);
	assert_int_equal(stop.reason, DEBUG_STOP_INTERRUPT);
	assert_int_equal(timeline_now(l.line).icount, 7);
	assert_int_equal(timeline_continue(l.line, poll, &stop), 0);
	assert_int_equal(stop.reason, DEBUG_STOP_INTERRUPT);
	assert_int_equal(timeline_step(l.line, poll, &stop), 0);
	assert_int_equal(stop.reason, DEBUG_STOP_INTERRUPT);
	assert_int_equal(timeline_break_set(l.line, DEBUG_WATCH_WRITE, 0x200000, 4, NULL), 0);
	assert_int_equal(timeline_reverse_step(l.line, poll, &stop), 0);
	assert_int_equal(timeline_seek(l.line, 3, (struct timeline_poll){ NULL, NULL }, &stop), 0);
	assert_int_equal(stop.reason, DEBUG_STOP_STEP);
	assert_int_equal(timeline_now(l.line).icount, 3);
	alarm(0);
	line_close(&l);
}

struct cond {
	bool value;
	unsigned asked;
};

static bool cond_test(void *ctx, unsigned cpu)
{
	struct cond *c = ctx;
	(void)cpu;
	c->asked++;
	return c->value;
}

/* mov $ADDR, %edi; then for ever: fldpi; fstpl (%edi); inc %ecx; jmp. One store of 8 bytes a round. */
static const uint8_t storing[] = { 0xbf, 0,    0,    0x20, 0,    0xd9, 0xeb,
				   0xdd, 0x1f, 0x41, 0xeb, 0xf9 };

/* What one watchpoint's false condition is must not hide the other's true one: same place and kind, same
 * place and another kind, another place in the same access. */
static void test_watch_hidden(void **state)
{
	static const struct {
		enum debug_break_kind kind;
		uint64_t addr;
	} second[] = { { DEBUG_WATCH_WRITE, 0x200000 },
		       { DEBUG_WATCH_ACCESS, 0x200000 },
		       { DEBUG_WATCH_ACCESS, 0x200004 } };
	const struct timeline_poll none = { NULL, NULL };
	struct debug_stop stop;
	struct line l;
	(void)state;
	line_make(&l, storing, sizeof(storing), NULL, 1000);
	line_open(&l);
	for (unsigned i = 0; i < RV_ARRAY_LEN(second); i++) {
		struct cond no = { false, 0 }, yes = { true, 0 };
		struct timeline *t = l.line;
		assert_int_equal(timeline_seek(t, 401, none, &stop), 0);
		assert_int_equal(timeline_break_set(t, DEBUG_WATCH_WRITE, 0x200000, 4,
						    &(struct debug_cond){ cond_test, &no }),
				 0);
		assert_int_equal(timeline_break_set(t, second[i].kind, second[i].addr, 4,
						    &(struct debug_cond){ cond_test, &yes }),
				 0);
		/* Rounds of four steps from 1: the store is the second. */
		assert_int_equal(timeline_continue(t, none, &stop), 0);
		assert_int_equal(stop.reason, DEBUG_STOP_BREAK);
		assert_int_equal(stop.kind, second[i].kind);
		assert_int_equal(stop.addr, second[i].addr);
		assert_int_equal(timeline_now(t).icount, 403);
		assert_int_equal(timeline_reverse_continue(t, none, &stop), 0);
		assert_int_equal(stop.reason, DEBUG_STOP_BREAK);
		assert_int_equal(stop.addr, second[i].addr);
		assert_int_equal(timeline_now(t).icount, 402);
		assert_int_equal(timeline_reverse_continue(t, none, &stop), 0);
		assert_int_equal(timeline_now(t).icount, 398);
		yes.value = false;
		no.asked = 0;
		assert_int_equal(timeline_reverse_continue(t, none, &stop), 0);
		assert_int_equal(stop.reason, DEBUG_STOP_BEGIN);
		assert_int_equal(no.asked, 99);
		assert_int_equal(timeline_hits(t).wanted, 0);
		assert_int_equal(timeline_break_clear(t, second[i].kind, second[i].addr, 4), 0);
		assert_int_equal(timeline_break_clear(t, DEBUG_WATCH_WRITE, 0x200000, 4), 0);
	}
	line_close(&l);
}

/* Many hits whose condition is false: asked once each, both ways, and the user can end it. */
static void test_hits(void **state)
{
	const icount_t end = 2000001;
	const struct timeline_poll none = { NULL, NULL };
	struct cond no = { false, 0 };
	struct debug_stop stop;
	struct line l;
	(void)state;
	line_make(&l, storing, sizeof(storing), NULL, end);
	line_open(&l);
	assert_int_equal(timeline_break_set(l.line, DEBUG_BREAK_HW, ENTRY + 9, 1,
					    &(struct debug_cond){ cond_test, &no }),
			 0);
	assert_int_equal(timeline_continue(l.line, none, &stop), 0);
	assert_int_equal(stop.reason, DEBUG_STOP_END);
	assert_int_equal(no.asked, end / 4);
	no.asked = 0;
	assert_int_equal(timeline_reverse_continue(l.line, none, &stop), 0);
	assert_int_equal(stop.reason, DEBUG_STOP_BEGIN);
	assert_int_equal(no.asked, end / 4);
	assert_int_equal(timeline_hits(l.line).met, end / 4);
	line_close(&l);
}

/* Recorded checkpoints are cut off while the debugger runs: another one will do; but what was made from
 * them, and lies at no position of history, cannot come back. */
static void test_lost(void **state)
{
	const struct timeline_poll none = { NULL, NULL };
	const struct output_digest extra = { .bytes = 0 };
	static const uint8_t junk[16] = { 0xcc };
	struct ckpt_ports ports;
	struct machine *m = ckpt_machine(&ports);
	struct digest128 digest[2];
	struct ckpt_writer *w;
	struct debug_stop stop;
	struct rv_err err = { 0 };
	char name[512];
	struct line l;
	(void)state;
	line_make(&l, ckpt_guest, (size_t)(ckpt_guest_end - ckpt_guest), NULL, 30000);
	if (ckpt_writer_create(&w, l.path, trace_manifest(l.trace), m, &(struct ckpt_writer_cfg){ .sync = NULL }, &err))
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < 2; i++) {
		ckpt_run(m, &ports, 10000);
		snprintf(name, sizeof(name), "%s/ckpt/%06u.rvc", l.path, i);
		assert_int_equal(ckpt_writer_take(w, &extra), 0);
		for (unsigned k = 0; access(name, F_OK) && k < 20000; k++)
			usleep(1000);
		usleep(50000);
	}
	assert_int_equal(ckpt_writer_finish(w, &err), 0);
	ckpt_writer_destroy(w);
	machine_destroy(m);
	line_open(&l);
	m = timeline_machine(l.line);
	assert_int_equal(timeline_seek(l.line, 15000, none, &stop), 0);
	digest[0] = machine_digest(m);
	assert_int_equal(timeline_seek(l.line, 25000, none, &stop), 0);
	digest[1] = machine_digest(m);
	/* The guest's IDT: written long before the first checkpoint, and never again. */
	assert_int_equal(timeline_divert(l.line), 0);
	mem_write(machine_mem(m), 0x181000, junk, sizeof(junk));
	snprintf(name, sizeof(name), "%s/ckpt/000000.rvc", l.path);
	assert_int_equal(truncate(name, 1000), 0);
	assert_int_equal(timeline_step(l.line, none, &stop), RV_EDAMAGED);
	assert_int_equal(timeline_step(l.line, none, &stop), RV_EDAMAGED);
	assert_int_equal(timeline_reverse_step(l.line, none, &stop), RV_EDAMAGED);
	assert_int_equal(timeline_continue(l.line, none, &stop), RV_EDAMAGED);
	assert_int_equal(timeline_reverse_continue(l.line, none, &stop), RV_EDAMAGED);
	assert_int_equal(timeline_divert(l.line), RV_EDAMAGED);
	assert_int_equal(timeline_checkpoint(l.line), RV_EDAMAGED);
	assert_int_equal(timeline_next_event(l.line, none, &stop), RV_EDAMAGED);
	assert_int_equal(timeline_seek(l.line, 15000, none, &stop), 0);
	assert_true(digest_equal(machine_digest(m), digest[0]));
	assert_int_equal(timeline_seek(l.line, 25000, none, &stop), 0);
	assert_true(digest_equal(machine_digest(m), digest[1]));
	assert_int_equal(timeline_step(l.line, none, &stop), 0);
	assert_int_equal(timeline_now(l.line).icount, 25001);
	line_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_halt_ticks),
		cmocka_unit_test(test_watch_hidden),
		cmocka_unit_test(test_hits),
		cmocka_unit_test(test_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
