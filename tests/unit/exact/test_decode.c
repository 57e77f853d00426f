/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder: lengths, operand fields, what rv-v2 does not have, truncated and over-long input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "vmm/engine/exact/decode.h"

#define M64 XMODE_64
#define M32 XMODE_32
#define M16 0u
#define MREAL XMODE_REAL

struct enc {
	const char *what;
	uint32_t mode;
	uint8_t n;
	uint8_t b[15];
};

#define ENC(what, mode, ...)                                                                       \
	{                                                                                          \
		(what), (mode), sizeof((uint8_t[]){__VA_ARGS__}), { __VA_ARGS__ }                  \
	}

static int setup(void **state)
{
	*state = xdecoder_create();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	xdecoder_destroy(*state);
	return 0;
}

static struct dinsn decode(void **state, const struct enc *e)
{
	struct dinsn d;
	uint8_t padded[15];
	unsigned n;

	memset(padded, 0x90, sizeof(padded));
	memcpy(padded, e->b, e->n);
	n = xdecode(*state, padded, sizeof(padded), e->mode, &d);
	if (n != e->n && d.fn != xop_undefined)
		fail_msg("%s: length %u instead of %u", e->what, n, e->n);
	assert_int_equal(d.len, n);
	assert_non_null(d.fn);
	return d;
}

/* What exists: right length, a body, and every proper prefix of it asks for more bytes. */
static void test_known(void **state)
{
	static const struct enc list[] = {
		ENC("add eax, ebx", M64, 0x01, 0xd8),
		ENC("add rax, [rip+4]", M64, 0x48, 0x03, 0x05, 4, 0, 0, 0),
		ENC("lock add [rax], ecx", M64, 0xf0, 0x01, 0x08),
		ENC("lock cmpxchg16b [rsi]", M64, 0xf0, 0x48, 0x0f, 0xc7, 0x0e),
		ENC("xacquire lock xchg", M64, 0xf2, 0xf0, 0x87, 0x08),
		ENC("mov rax, imm64", M64, 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8),
		ENC("mov al, moffs64", M64, 0xa0, 1, 2, 3, 4, 5, 6, 7, 8),
		ENC("mov eax, moffs32", M32, 0xa1, 1, 2, 3, 4),
		ENC("nop", M64, 0x90),
		ENC("pause", M64, 0xf3, 0x90),
		ENC("nop word [rax+rax]", M64, 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0),
		ENC("endbr64 is a nop", M64, 0xf3, 0x0f, 0x1e, 0xfa),
		ENC("endbr32 is a nop", M32, 0xf3, 0x0f, 0x1e, 0xfb),
		ENC("rdsspq is a nop", M64, 0xf3, 0x48, 0x0f, 0x1e, 0xc8),
		ENC("bnd prefix", M64, 0xf2, 0xc3),
		ENC("0f 1a is a nop", M64, 0x0f, 0x1a, 0x00),
		ENC("cldemote is a nop", M64, 0x0f, 0x1c, 0x00),
		ENC("prefetchw", M64, 0x0f, 0x0d, 0x08),
		ENC("prefetcht0", M64, 0x0f, 0x18, 0x08),
		ENC("clflush", M64, 0x0f, 0xae, 0x38),
		ENC("lfence", M64, 0x0f, 0xae, 0xe8),
		ENC("mfence", M64, 0x0f, 0xae, 0xf0),
		ENC("sfence", M64, 0x0f, 0xae, 0xf8),
		ENC("popcnt", M64, 0xf3, 0x0f, 0xb8, 0xc1),
		ENC("crc32 eax, cl", M64, 0xf2, 0x0f, 0x38, 0xf0, 0xc1),
		ENC("tzcnt is bsf", M64, 0xf3, 0x0f, 0xbc, 0xc1),
		ENC("lzcnt is bsr", M64, 0xf3, 0x0f, 0xbd, 0xc1),
		ENC("movnti", M64, 0x0f, 0xc3, 0x08),
		ENC("salc", M32, 0xd6),
		ENC("daa", M32, 0x27),
		ENC("bound", M32, 0x62, 0x08),
		ENC("enter", M64, 0xc8, 0x10, 0x00, 0x02),
		ENC("jmp rel32 with 66", M64, 0x66, 0xe9, 0, 0, 0, 0),
		ENC("jmp rel16", M32, 0x66, 0xe9, 0, 0),
		ENC("call rel16", MREAL, 0xe8, 0, 0),
		ENC("rep movsq", M64, 0xf3, 0x48, 0xa5),
		ENC("insw", M32, 0x66, 0x6d),
		ENC("pusha", M16, 0x60),
		ENC("xlat", M64, 0xd7),
		ENC("shl by one", M64, 0xd0, 0xf0), /* /6, the second encoding of SHL */
		ENC("test /1", M64, 0xf6, 0xc8, 1),
	};

	for (size_t i = 0; i < RV_ARRAY_LEN(list); i++) {
		struct dinsn d = decode(state, &list[i]);

		if (d.fn == xop_undefined)
			fail_msg("%s: undefined", list[i].what);
		for (unsigned n = 1; n < list[i].n; n++)
			if (xdecode(*state, list[i].b, n, list[i].mode, &d) != 0)
				fail_msg("%s: accepted with %u bytes", list[i].what, n);
	}
}

static void test_undefined(void **state)
{
	static const struct enc list[] = {
		ENC("ud2", M64, 0x0f, 0x0b),
		ENC("ud1", M64, 0x0f, 0xb9, 0xc0),
		ENC("lock add to a register", M64, 0xf0, 0x01, 0xd8),
		ENC("lock mov", M64, 0xf0, 0x89, 0x08),
		ENC("lock add from memory", M64, 0xf0, 0x03, 0x08),
		ENC("lock cmp", M64, 0xf0, 0x39, 0x08),
		ENC("lock nop", M64, 0xf0, 0x90),
		ENC("lea with a register", M64, 0x8d, 0xc0),
		ENC("cmpxchg8b with a register", M64, 0x0f, 0xc7, 0xc9),
		ENC("movnti with a register", M64, 0x0f, 0xc3, 0xc8),
		ENC("andn", M64, 0xc4, 0xe2, 0x70, 0xf2, 0xc2),
		ENC("vaddps", M64, 0xc5, 0xf8, 0x58, 0xc0),
		ENC("evex", M64, 0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc0),
		ENC("xop", M64, 0x8f, 0xe9, 0x78, 0x01, 0xc8),
		ENC("pfadd", M64, 0x0f, 0x0f, 0xc1, 0x9e),
		ENC("movbe", M64, 0x0f, 0x38, 0xf0, 0x00),
		ENC("rdrand", M64, 0x0f, 0xc7, 0xf0),
		ENC("rdseed", M64, 0x0f, 0xc7, 0xf8),
		ENC("adcx", M64, 0x66, 0x0f, 0x38, 0xf6, 0xc1),
		ENC("rdfsbase", M64, 0xf3, 0x48, 0x0f, 0xae, 0xc0),
		ENC("rdpid", M64, 0xf3, 0x0f, 0xc7, 0xf8),
		ENC("xgetbv", M64, 0x0f, 0x01, 0xd0),
		ENC("xsave", M64, 0x0f, 0xae, 0x20),
		ENC("monitor", M64, 0x0f, 0x01, 0xc8),
		ENC("xbegin", M64, 0xc7, 0xf8, 0, 0, 0, 0),
		ENC("clwb", M64, 0x66, 0x0f, 0xae, 0x30),
		ENC("clflushopt", M64, 0x66, 0x0f, 0xae, 0x38),
		ENC("aesenc", M64, 0x66, 0x0f, 0x38, 0xdc, 0xc1),
		ENC("pclmulqdq", M64, 0x66, 0x0f, 0x3a, 0x44, 0xc1, 0),
		ENC("sha1nexte", M64, 0x0f, 0x38, 0xc8, 0xc1),
		ENC("extrq", M64, 0x66, 0x0f, 0x79, 0xc1),
		ENC("vmcall", M64, 0x0f, 0x01, 0xc1),
		ENC("vmmcall", M64, 0x0f, 0x01, 0xd9),
		ENC("clac", M64, 0x0f, 0x01, 0xca),
		ENC("invpcid", M64, 0x66, 0x0f, 0x38, 0x82, 0x00),
		ENC("daa in 64-bit mode", M64, 0x27),
		ENC("pusha in 64-bit mode", M64, 0x60),
		ENC("popcnt without f3", M64, 0x0f, 0xb8, 0xc1),
		ENC("movsd with vex", M64, 0xc5, 0xfb, 0x10, 0x00),
	};

	for (size_t i = 0; i < RV_ARRAY_LEN(list); i++) {
		struct dinsn d = decode(state, &list[i]);

		if (d.fn != xop_undefined)
			fail_msg("%s: not undefined", list[i].what);
		assert_true(d.flags & XD_END);
	}
}

static void test_too_long(void **state)
{
	struct dinsn d;
	uint8_t b[16];

	memset(b, 0x66, sizeof(b));
	for (unsigned n = 1; n < 15; n++)
		assert_int_equal(xdecode(*state, b, n, M64, &d), 0);
	assert_int_equal(xdecode(*state, b, 15, M64, &d), 15);
	assert_true(d.fn != xop_undefined);
	assert_true(d.flags & XD_END);
	b[14] = 0x90; /* 15 bytes are allowed */
	assert_int_equal(xdecode(*state, b, 16, M64, &d), 15);
	assert_false(d.flags & XD_END);
}

static void test_fields(void **state)
{
	struct dinsn d;
	xop_fn add_rr;

	d = decode(state, &(struct enc)ENC("add eax, ebx", M64, 0x01, 0xd8));
	add_rr = d.fn;
	assert_int_equal(d.rm, CPU_RAX);
	assert_int_equal(d.reg, CPU_RBX);
	assert_int_equal(d.size, 4);
	d = decode(state, &(struct enc)ENC("add eax, ebx, 03", M64, 0x03, 0xc3));
	assert_int_equal(d.rm, CPU_RAX);
	assert_int_equal(d.reg, CPU_RBX);
	assert_ptr_equal(d.fn, add_rr);

	d = decode(state, &(struct enc)ENC("add ah, imm", M64, 0x80, 0xc4, 0xff));
	assert_int_equal(d.rm, CPU_RAX * 8 + 1);
	assert_int_equal(d.imm, UINT64_MAX);
	assert_int_equal(d.size, 1);
	d = decode(state, &(struct enc)ENC("add spl, imm", M64, 0x40, 0x80, 0xc4, 1));
	assert_int_equal(d.rm, CPU_RSP * 8);
	d = decode(state, &(struct enc)ENC("mov r9b, dil", M64, 0x41, 0x88, 0xf9));
	assert_int_equal(d.rm, CPU_R9 * 8);
	assert_int_equal(d.reg, CPU_RDI * 8);

	d = decode(state, &(struct enc)ENC("and rax, imm32", M64, 0x48, 0x25, 0, 0, 0, 0x80));
	assert_int_equal(d.imm, 0xffffffff80000000u);
	d = decode(state, &(struct enc)ENC("and ecx, imm8", M64, 0x83, 0xe1, 0xf0));
	assert_int_equal(d.imm, 0xfffffffffffffff0u);

	d = decode(state, &(struct enc)ENC("mov [rbp+r12*4-8], cx", M64, 0x66, 0x42, 0x89, 0x4c, 0xa5,
					   0xf8));
	assert_int_equal(d.size, 2);
	assert_int_equal(d.base, CPU_RBP);
	assert_int_equal(d.index, CPU_R12);
	assert_int_equal(d.scale, 2);
	assert_int_equal(d.disp, -8);
	assert_int_equal(d.seg, CPU_SS);
	assert_int_equal(d.ea, 0);
	assert_true(d.flags & XD_MEM);

	d = decode(state, &(struct enc)ENC("mov eax, fs:[0x28]", M64, 0x64, 0x8b, 0x04, 0x25, 0x28, 0,
					   0, 0));
	assert_int_equal(d.base, XR_ZERO);
	assert_int_equal(d.index, XR_ZERO);
	assert_int_equal(d.disp, 0x28);
	assert_int_equal(d.seg, CPU_FS);
	assert_int_equal(d.ea, XEA_SEG);
	d = decode(state, &(struct enc)ENC("cs: is ignored", M64, 0x2e, 0x8b, 0x45, 0));
	assert_int_equal(d.seg, CPU_SS);
	assert_int_equal(d.ea, 0);
	d = decode(state, &(struct enc)ENC("[eip-1]", M64, 0x67, 0x8b, 0x05, 0xff, 0xff, 0xff, 0xff));
	assert_int_equal(d.base, XR_NEXT);
	assert_int_equal(d.disp, -1);
	assert_int_equal(d.ea, XEA_ADDR32);
	/* No base, but a displacement, with REX.B and a 32-bit address size too. */
	d = decode(state, &(struct enc)ENC("lea r9, [eax*2+disp32]", M64, 0x67, 0x4d, 0x8d, 0x0c, 0x45,
					   0x6a, 0x61, 0x57, 0x08));
	assert_int_equal(d.base, XR_ZERO);
	assert_int_equal(d.index, CPU_RAX);
	assert_int_equal(d.disp, 0x0857616a);
	d = decode(state, &(struct enc)ENC("lea r9, [disp32]", M64, 0x67, 0x4d, 0x8d, 0x0c, 0x25, 1, 2, 3,
					   0xff));
	assert_int_equal(d.base, XR_ZERO);
	assert_int_equal(d.index, XR_ZERO);
	assert_int_equal(d.disp, (int32_t)0xff030201);
	d = decode(state, &(struct enc)ENC("lea r9, [r13d+7fh]", M64, 0x67, 0x4d, 0x8d, 0x4d, 0x7f));
	assert_int_equal(d.base, CPU_R13);
	assert_int_equal(d.disp, 0x7f);
	d = decode(state, &(struct enc)ENC("[bp+si]", M16, 0x8b, 0x02));
	assert_int_equal(d.base, CPU_RBP);
	assert_int_equal(d.index, CPU_RSI);
	assert_int_equal(d.seg, CPU_SS);
	assert_int_equal(d.ea, XEA_LEGACY | XEA_ADDR16);
	assert_int_equal(d.size, 2);
	d = decode(state, &(struct enc)ENC("es:[ebx]", M32, 0x26, 0x8b, 0x03));
	assert_int_equal(d.seg, CPU_ES);
	assert_int_equal(d.ea, XEA_LEGACY | XEA_ADDR32);

	d = decode(state, &(struct enc)ENC("mov al, moffs", M64, 0xa0, 1, 2, 3, 4, 5, 6, 7, 8));
	assert_int_equal(d.imm, 0x0807060504030201u);
	d = decode(state, &(struct enc)ENC("enter", M64, 0xc8, 0x10, 0x80, 0x02));
	assert_int_equal(d.imm, 0x8010);
	assert_int_equal(d.aux, 2);
	assert_int_equal(d.size, 8);
	d = decode(state, &(struct enc)ENC("ret imm", M64, 0xc2, 0xf8, 0xff));
	assert_int_equal(d.imm, 0xfff8);
	assert_true(d.flags & XD_END);
	d = decode(state, &(struct enc)ENC("jmp -2", M64, 0xeb, 0xfe));
	assert_int_equal(d.imm, (uint64_t)-2);
	d = decode(state, &(struct enc)ENC("jnz rel32", M64, 0x0f, 0x85, 0, 0, 0, 0x80));
	assert_int_equal(d.imm, 0xffffffff80000000u);
	assert_int_equal(d.cc, 5);
	d = decode(state, &(struct enc)ENC("push -1", M64, 0x6a, 0xff));
	assert_int_equal(d.imm, UINT64_MAX);
	assert_int_equal(d.size, 8);
	d = decode(state, &(struct enc)ENC("push ax", M64, 0x66, 0x50));
	assert_int_equal(d.size, 2);
	d = decode(state, &(struct enc)ENC("jmp rax with 66", M64, 0x66, 0xff, 0xe0));
	assert_int_equal(d.size, 8);
	d = decode(state, &(struct enc)ENC("xchg r8, rax", M64, 0x49, 0x90));
	assert_int_equal(d.reg, CPU_R8);
	assert_int_equal(d.rm, CPU_RAX);
	d = decode(state, &(struct enc)ENC("shl edx, cl", M64, 0xd3, 0xe2));
	assert_int_equal(d.rm, CPU_RDX);
	assert_int_equal(d.reg, CPU_RCX * 8);
	d = decode(state, &(struct enc)ENC("fs rep movsb", M64, 0x64, 0xf3, 0xa4));
	assert_int_equal(d.size, 1);
	assert_int_equal(d.seg, CPU_FS);
	assert_int_equal(d.ea, XEA_SEG);
	assert_true(d.flags & XD_REP);
	assert_true(d.flags & XD_END);
	d = decode(state, &(struct enc)ENC("repne scasd, addr32", M64, 0x67, 0xf2, 0xaf));
	assert_int_equal(d.asize, 4);
	assert_int_equal(d.ea, XEA_ADDR32);
	assert_true(d.flags & XD_REPNE);
	d = decode(state, &(struct enc)ENC("movsd, not repeated", M64, 0xa5));
	assert_false(d.flags & XD_END);
	d = decode(state, &(struct enc)ENC("lock inc dword [rcx]", M64, 0xf0, 0xff, 0x01));
	assert_true(d.flags & XD_LOCK);
}

/* Whatever the bytes, the answer is a length up to 15 with a body, or a wish for more. */
static void test_noise(void **state)
{
	static const uint32_t modes[] = {M64, M32, M16, MREAL, MREAL | M32};
	uint64_t s = 0x9e3779b97f4a7c15u;
	struct dinsn d;

	for (unsigned i = 0; i < 400000; i++) {
		uint8_t b[15];
		unsigned avail = 1 + i % 15, n;

		for (unsigned k = 0; k < sizeof(b); k++) {
			s ^= s << 13;
			s ^= s >> 7;
			s ^= s << 17;
			b[k] = (uint8_t)(s >> 32);
		}
		if (i & 1)
			b[0] = 0x0f;
		n = xdecode(*state, b, avail, modes[i % 5], &d);
		assert_true(n <= avail);
		if (n) {
			assert_non_null(d.fn);
			assert_int_equal(d.len, n);
			assert_true(d.base < XR_N && d.index < XR_N && d.scale < 4);
			assert_true(d.seg < CPU_NSEG);
			assert_true(d.reg < 128 && d.rm < 128);
		} else {
			assert_true(avail < 15);
			/* With all its bytes it must turn out longer than what was not enough. */
			assert_true(xdecode(*state, b, 15, modes[i % 5], &d) > avail);
		}
	}
}

static void test_tables(void **state)
{
	const struct xop_table *t;
	size_t total = 0;

	(void)state;
	for (unsigned n = 0; (t = xdecoder_ops(n)) != NULL; n++) {
		for (size_t i = 0; i < t->n; i++) {
			assert_non_null(t->ops[i].bind);
			assert_true(t->ops[i].mnemonic > ZYDIS_MNEMONIC_INVALID);
			assert_true(t->ops[i].mnemonic <= ZYDIS_MNEMONIC_MAX_VALUE);
		}
		total += t->n;
	}
	assert_true(total > 200);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_known, setup, teardown),
		cmocka_unit_test_setup_teardown(test_undefined, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(test_noise, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tables, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
