/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID and MSRs of rv-v2: the values other parts and guests rely on, and what WRMSR refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/status.h"
#include "cpu/model.h"

static struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf, unsigned id, unsigned ncpus)
{
	struct cpu_state s;
	struct cpuid_regs r;
	cpu_state_reset(&s, true);
	cpu_model_cpuid(&s, id, ncpus, true, leaf, subleaf, &r);
	return r;
}

static void test_identity(void **state)
{
	(void)state;
	struct cpuid_regs r = cpuid(0, 0, 0, 1);
	char vendor[13] = {0};
	memcpy(vendor, &r.ebx, 4);
	memcpy(vendor + 4, &r.edx, 4);
	memcpy(vendor + 8, &r.ecx, 4);
	assert_string_equal(vendor, "GenuineIntel");
	assert_int_equal(r.eax, 0x16);
	r = cpuid(1, 0, 0, 1);
	assert_int_equal(r.eax >> 8 & 15, 6);
	struct cpu_state s;
	cpu_state_reset(&s, true);
	assert_int_equal(s.gpr[CPU_RDX], r.eax);
	char brand[49] = {0};
	for (uint32_t i = 0; i < 3; i++) {
		r = cpuid(0x80000002u + i, 0, 0, 1);
		memcpy(brand + i * 16, &r, 16);
	}
	assert_string_equal(brand, "Retrovisor rv-v2");
}

static void test_features(void **state)
{
	(void)state;
	struct cpuid_regs r = cpuid(1, 0, 0, 1);
	const uint32_t absent = 1u << 1 | 1u << 3 | 1u << 5 | 1u << 12 | 1u << 17 | 1u << 22 |
				1u << 25 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 29 | 1u << 30;
	assert_int_equal(r.ecx & absent, 0);
	/* x86-64-v2, x2APIC, TSC deadline, hypervisor. */
	assert_int_equal(r.ecx, 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 21 |
				    1u << 23 | 1u << 24 | 1u << 31);
	assert_int_equal(r.edx & 1u << 28, 0);
	assert_true(r.edx & 1u << 9);
	assert_true(cpuid(1, 0, 0, 2).edx & 1u << 28);
	struct cpu_state s;
	cpu_state_reset(&s, true);
	cpu_model_cpuid(&s, 0, 1, false, 1, 0, &r);
	assert_int_equal(r.edx & 1u << 9, 0);
	r = cpuid(7, 0, 0, 1);
	assert_int_equal(r.eax, 0);
	assert_int_equal(r.edx, 1u << 26 | 1u << 29);
	assert_int_equal(cpuid(0x80000007u, 0, 0, 1).edx, 1u << 8);
	assert_int_equal(cpuid(0x80000008u, 0, 0, 1).eax, 48 << 8 | 40);
	/* Nothing behind what is absent, and beyond the ends. */
	static const uint32_t empty[] = {
	    3, 5, 8, 9, 0xa, 0xc, 0xd, 0x14, 0x17, 0x40000001, 0x80000005, 0x80000009, 0xffffffff};
	for (size_t i = 0; i < RV_ARRAY_LEN(empty); i++) {
		r = cpuid(empty[i], 0, 0, 1);
		assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
	}
}

static void test_clock(void **state)
{
	(void)state;
	struct cpuid_regs r = cpuid(0x15, 0, 0, 1);
	assert_int_equal((uint64_t)r.ecx * r.ebx / r.eax, CPU_TSC_HZ);
	assert_int_equal(cpuid(0x16, 0, 0, 1).eax, CPU_TSC_HZ / 1000000);
	assert_int_equal(cpuid(6, 0, 0, 1).eax, 1u << 2);
}

static void test_topology(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= CPU_MAX; n++) {
		struct cpuid_regs smt = cpuid(0xb, 0, n - 1, n), core = cpuid(0xb, 1, n - 1, n);
		assert_int_equal(smt.eax, 0);
		assert_int_equal(smt.ebx, 1);
		assert_int_equal(smt.ecx, 0x100);
		assert_int_equal(core.ecx, 0x201);
		assert_int_equal(core.ebx, n);
		assert_true(1u << core.eax >= n);
		assert_int_equal(core.edx, n - 1);
		assert_int_equal(cpuid(0xb, 2, n - 1, n).ebx, 0);
		assert_int_equal(cpuid(1, 0, n - 1, n).ebx >> 24, n - 1);
		assert_true((cpuid(4, 3, 0, n).eax >> 14 & 0xfff) + 1 >= n);
	}
	assert_int_equal(cpuid(4, 4, 0, 1).eax & 31, 0);
	/* L1D: line * ways * sets = 32 KiB. */
	struct cpuid_regs l1 = cpuid(4, 0, 0, 1);
	assert_int_equal(((l1.ebx & 0xfff) + 1) * ((l1.ebx >> 22) + 1) * (l1.ecx + 1), 32768);
}

static uint64_t msr(const struct cpu_state *s, uint32_t n)
{
	uint64_t v;
	assert_int_equal(cpu_model_msr_read(s, n, &v), RV_OK);
	return v;
}

static void test_msr_constants(void **state)
{
	(void)state;
	struct cpu_state s;
	uint64_t v;
	cpu_state_reset(&s, true);
	v = msr(&s, 0x10a);
	static const unsigned bits[] = {0, 1, 3, 4, 5, 6, 8, 13, 14, 15, 20, 24, 26, 27, 62};
	uint64_t want = 0;
	for (size_t i = 0; i < RV_ARRAY_LEN(bits); i++)
		want |= 1ull << bits[i];
	assert_int_equal(v, want);
	assert_int_equal(cpu_model_msr_write(&s, 0x10a, v), RV_EINVAL);
	assert_int_equal(msr(&s, 0x3a), 1);
	assert_int_equal(msr(&s, 0xfe) & 0xff, 8);
	assert_int_equal(msr(&s, 0x179), 0);
	assert_int_equal(cpu_model_msr_write(&s, 0x17a, 0), RV_OK);
	assert_int_equal(cpu_model_msr_write(&s, 0x17a, 1), RV_EINVAL);
	assert_true(msr(&s, 0x8b) >> 32);
	assert_int_equal(cpu_model_msr_write(&s, 0x8b, 0), RV_OK);
	/* IBPB is write-only. */
	assert_int_equal(cpu_model_msr_write(&s, 0x49, 1), RV_OK);
	assert_int_equal(cpu_model_msr_write(&s, 0x49, 2), RV_EINVAL);
	assert_int_equal(cpu_model_msr_read(&s, 0x49, &v), RV_ENOENT);
	static const uint32_t unknown[] = {0x79,  0xe7,	 0x122,	     0x140,
					   0x1c9, 0x480, 0xc0010015, 0x210};
	for (size_t i = 0; i < RV_ARRAY_LEN(unknown); i++) {
		assert_int_equal(cpu_model_msr_read(&s, unknown[i], &v), RV_ENOENT);
		assert_int_equal(cpu_model_msr_write(&s, unknown[i], 0), RV_ENOENT);
	}
}

static void test_msr_stored(void **state)
{
	(void)state;
	static const struct {
		uint32_t msr;
		uint64_t good, bad;
	} cases[] = {
	    {MSR_STAR, 0x0023001000000000, 0},
	    {MSR_LSTAR, 0xffffffff81000000, 1ull << 47},
	    {MSR_CSTAR, 0xffff800000000000, 1ull << 63},
	    {MSR_SFMASK, 0x47700, 1ull << 32},
	    {MSR_KERNEL_GS_BASE, 0xffff888000000000, 0x800000000000},
	    {MSR_SYSENTER_ESP, 0xfffffe0000000000, 1ull << 50},
	    {MSR_SYSENTER_EIP, 0x7fffffffffff, 1ull << 50},
	    {0x277, 0x0007010600070106, 0x0000000000000002},
	    {0x277, 0x0000000000000005, 0x0800000000000000},
	    {0x48, 3, 4},
	    {0x1a0, 0x1800, 0x1801 | 1ull << 18},
	    {0xc0000103, 0xfff, 1ull << 32},
	    {0x2ff, 0xc06, 0xc02},
	    {0x2ff, 0x800, 1 << 12},
	    {0x250, 0x0606060606060606, 0x0606060606060607},
	    {0x26f, 0x0505050505050505, 2},
	    {0x200, 0xc0000000, 0xc0000003},
	    {0x20e, 6, 1ull << 40},
	    {0x20f, 0xfff0000800, 0x400},
	};
	struct cpu_state s;
	cpu_state_reset(&s, true);
	assert_int_equal(msr(&s, 0x277), 0x0007040600070406);
	for (size_t i = 0; i < RV_ARRAY_LEN(cases); i++) {
		assert_int_equal(cpu_model_msr_write(&s, cases[i].msr, cases[i].good), RV_OK);
		assert_int_equal(msr(&s, cases[i].msr), cases[i].good);
		if (!cases[i].bad)
			continue;
		assert_int_equal(cpu_model_msr_write(&s, cases[i].msr, cases[i].bad), RV_EINVAL);
		assert_int_equal(msr(&s, cases[i].msr), cases[i].good);
	}
	/* Only 32 bits of SYSENTER_CS exist. */
	assert_int_equal(cpu_model_msr_write(&s, MSR_SYSENTER_CS, 0x100000008), RV_OK);
	assert_int_equal(msr(&s, MSR_SYSENTER_CS), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_identity),	  cmocka_unit_test(test_features),
	    cmocka_unit_test(test_clock),	  cmocka_unit_test(test_topology),
	    cmocka_unit_test(test_msr_constants), cmocka_unit_test(test_msr_stored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
