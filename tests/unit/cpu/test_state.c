/* SPDX-License-Identifier: Apache-2.0 */
/* Saved vCPU state: every field travels, hostile bytes are refused, reset values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/status.h"
#include "cpu/model.h"
#include "cpu/state.h"

static int reload(const struct cpu_state *s, struct cpu_state *out)
{
	struct bytes b = {0};
	struct bytes_in in;
	state_save(&cpu_state_desc, s, &b);
	assert_false(b.failed);
	bytes_in_init(&in, b.data, b.len);
	memset(out, 0, sizeof(*out));
	int rc = state_load(&cpu_state_desc, out, &in);
	if (rc == RV_OK)
		assert_int_equal(in.pos, in.len);
	bytes_fini(&b);
	return rc;
}

static void test_reset(void **state)
{
	(void)state;
	struct cpu_state s, t;
	cpu_state_reset(&s, true);
	assert_int_equal(s.seg[CPU_CS].base + s.rip, 0xfffffff0);
	assert_int_equal(s.cr0, 0x60000010);
	assert_int_equal(s.rflags, 2);
	assert_int_equal(s.dr6, 0xffff0ff0);
	assert_int_equal(s.dr7, 0x400);
	assert_int_equal(s.mxcsr, 0x1f80);
	assert_int_equal(s.activity, CPU_RUNNING);
	assert_int_equal(reload(&s, &t), RV_OK);
	cpu_state_reset(&s, false);
	assert_int_equal(s.activity, CPU_WAIT_SIPI);
}

/* The description covers the struct: bytes that no field names are padding, and few. */
static void test_coverage(void **state)
{
	(void)state;
	static uint8_t covered[sizeof(struct cpu_state)];
	for (size_t i = 0; i < cpu_state_desc.nfields; i++) {
		const struct state_field *f = &cpu_state_desc.fields[i];
		for (uint32_t k = 0; k < f->count; k++) {
			for (size_t j = 0; j < f->size; j++) {
				size_t at = f->offset + k * f->stride + j;
				assert_true(at < sizeof(covered));
				assert_int_equal(covered[at], 0);
				covered[at] = 1;
			}
		}
	}
	size_t run = 0;
	for (size_t i = 0; i < sizeof(covered); i++) {
		run = covered[i] ? 0 : run + 1;
		assert_true(run < 8);
	}
}

static void test_round_trip(void **state)
{
	(void)state;
	struct cpu_state s, t;
	cpu_state_reset(&s, true);
	for (unsigned i = 0; i < 16; i++) {
		s.gpr[i] = 0x0123456789abcdefull * (i + 1);
		s.xmm[i].lo = i;
		s.xmm[i].hi = ~(uint64_t)i;
	}
	for (unsigned i = 0; i < 8; i++) {
		s.st[i].mant = 1ull << 63 | i;
		s.st[i].sexp = (uint16_t)(0xffff - i);
	}
	s.seg[CPU_FS].base = 0xffff888000000000;
	s.msr[CPU_MSR_LSTAR] = 0xffffffff81000000;
	s.shadow_ss = true;
	s.sipi_vector = 0x9a;
	assert_int_equal(reload(&s, &t), RV_OK);
	struct bytes a = {0}, b = {0};
	state_save(&cpu_state_desc, &s, &a);
	state_save(&cpu_state_desc, &t, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	bytes_fini(&a);
	bytes_fini(&b);
	assert_int_equal(t.st[7].sexp, s.st[7].sexp);
	assert_true(t.shadow_ss);
}

#define REFUSED(change)                                                                            \
	do {                                                                                       \
		struct cpu_state s, t;                                                             \
		cpu_state_reset(&s, true);                                                         \
		change;                                                                            \
		assert_int_equal(reload(&s, &t), RV_EINVAL);                                       \
	} while (0)

static void test_refused(void **state)
{
	(void)state;
	REFUSED(s.rflags = 0);
	REFUSED(s.rflags |= 1u << 15);
	REFUSED(s.cr0 |= CR0_PG);
	REFUSED(s.cr0 = CR0_NW | CR0_ET);
	REFUSED(s.cr0 |= 1ull << 40);
	REFUSED(s.cr4 |= 1u << 20);
	REFUSED(s.cr3 = 1ull << 40);
	REFUSED(s.efer = EFER_LMA);
	REFUSED(s.efer = EFER_LME; s.cr0 = CR0_PE | CR0_PG | CR0_ET);
	REFUSED(s.efer = EFER_LME | EFER_LMA; s.cr0 = CR0_PE | CR0_PG | CR0_ET);
	REFUSED(s.seg[CPU_DS].attr = 0x0f93);
	REFUSED(s.seg[CPU_GS].base = 1ull << 47);
	REFUSED(s.gdtr.base = 1ull << 50);
	REFUSED(s.dr7 = 1ull << 32);
	REFUSED(s.mxcsr = 0x10000);
	REFUSED(s.fop = 0x800);
	REFUSED(s.activity = CPU_SHUTDOWN + 1);
	REFUSED(s.pending_db = 1u << 20);
	REFUSED(s.msr[CPU_MSR_PAT] = 2);
	REFUSED(s.msr[CPU_MSR_LSTAR] = 1ull << 47);
}

static void test_hostile(void **state)
{
	(void)state;
	struct cpu_state s, t;
	struct bytes b = {0};
	struct bytes_in in;
	cpu_state_reset(&s, true);
	state_save(&cpu_state_desc, &s, &b);
	for (size_t n = 0; n < b.len; n++) {
		bytes_in_init(&in, b.data, n);
		assert_int_not_equal(state_load(&cpu_state_desc, &t, &in), RV_OK);
	}
	srandom(1);
	for (unsigned i = 0; i < 20000; i++) {
		size_t at = (size_t)random() % b.len;
		uint8_t old = b.data[at];
		b.data[at] ^= (uint8_t)(1u << (random() & 7));
		bytes_in_init(&in, b.data, b.len);
		int rc = state_load(&cpu_state_desc, &t, &in);
		assert_true(rc == RV_OK || rc == RV_EINVAL || rc == RV_EVERSION);
		if (rc == RV_OK)
			assert_true(t.activity <= CPU_SHUTDOWN && t.mxcsr < 0x10000);
		b.data[at] = old;
	}
	bytes_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reset),      cmocka_unit_test(test_coverage),
	    cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
