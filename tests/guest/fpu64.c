/* SPDX-License-Identifier: Apache-2.0 */
/* x87 and SSE as a system sees them: #NM, #UD, #MF, #XM, FXSAVE, environments, alignment. */
#include "lib/guest.h"

const char guest_name[] = "fpu64";

#define CR0_MP	       2ul
#define CR0_EM	       4ul
#define CR0_TS	       8ul
#define CR4_OSFXSR     0x200ul
#define CR4_OSXMMEXCPT 0x400ul

static uint8_t image[512] __attribute__((aligned(16)));
static uint8_t image2[512] __attribute__((aligned(16)));

static void availability(void)
{
	word cr0 = read_cr0(), cr4 = read_cr4();
	write_cr0(cr0 | CR0_TS);
	CHECK_EQ(TRY("fld1", NOTHING), VEC_NM);
	CHECK_EQ(TRY("addps %%xmm0, %%xmm0", NOTHING), VEC_NM);
	CHECK_EQ(TRY("fxsave %0", "=m"(image)), VEC_NM);
	CHECK_EQ(TRY("paddb %%mm0, %%mm0", NOTHING), VEC_NM);
	CHECK_EQ(TRY("ldmxcsr %0", NOTHING, "m"(dead)), VEC_NM);
	CHECK_EQ(TRY("fwait", NOTHING), VEC_NM); /* MP is set */
	CHECK_EQ(TRY("sfence", NOTHING), -1);
	CHECK_EQ(TRY("prefetcht0 %0", NOTHING, "m"(image)), -1);
	write_cr0((cr0 | CR0_TS) & ~CR0_MP);
	CHECK_EQ(TRY("fwait", NOTHING), -1);
	__asm__ volatile("clts");
	CHECK_EQ(read_cr0() & CR0_TS, 0);
	CHECK_EQ(TRY("fld1\n\tfstp %%st(0)", NOTHING), -1);
	write_cr0(cr0 | CR0_EM);
	CHECK_EQ(TRY("fld1", NOTHING), VEC_NM);
	CHECK_EQ(TRY("addps %%xmm0, %%xmm0", NOTHING), VEC_UD);
	CHECK_EQ(TRY("paddb %%mm0, %%mm0", NOTHING), VEC_UD);
	write_cr0(cr0);
	write_cr4(cr4 & ~CR4_OSFXSR);
	CHECK_EQ(TRY("addps %%xmm0, %%xmm0", NOTHING), VEC_UD);
	CHECK_EQ(TRY("paddb %%mm0, %%mm0\n\temms", NOTHING), -1);
	CHECK_EQ(TRY("fld1\n\tfstp %%st(0)", NOTHING), -1);
	write_cr4(cr4);
}

static void simd_exceptions(void)
{
	static const float one[4] __attribute__((aligned(16))) = {1, 1, 1, 1};
	uint32_t masked = 0x1f80, no_zero = 0x1f80 & ~0x200u, v = 0;
	word cr4 = read_cr4();
	__asm__ volatile("ldmxcsr %0\n\txorps %%xmm1, %%xmm1\n\tmovaps %1, %%xmm0\n\tdivps %%xmm1, "
			 "%%xmm0\n\tstmxcsr %2"
			 :
			 : "m"(masked), "m"(one), "m"(v)
			 : "memory");
	CHECK_EQ(v, 0x1f84);
	__asm__ volatile("ldmxcsr %0" : : "m"(no_zero));
	if (guest_is_tcg) /* it raises no #XM */
		return;
	CHECK_EQ(TRY("xorps %%xmm1, %%xmm1\n\tmovaps %0, %%xmm0\n\tdivps %%xmm1, %%xmm0", NOTHING,
			 "m"(one)),
		 VEC_XM);
	__asm__ volatile("stmxcsr %0" : "=m"(v));
	CHECK_EQ(v, no_zero | 4);
	/* The destination is as before. */
	float got[4] __attribute__((aligned(16)));
	__asm__ volatile("movups %%xmm0, %0" : "=m"(got));
	CHECK_EQ(*(uint32_t *)(void *)got, 0x3f800000);
	write_cr4(cr4 & ~CR4_OSXMMEXCPT);
	CHECK_HW_EQ(TRY("divps %%xmm1, %%xmm0", NOTHING), VEC_UD);
	write_cr4(cr4);
	__asm__ volatile("ldmxcsr %0" : : "m"(masked));
	v = 0x10000;
	CHECK_EQ(TRY("ldmxcsr %0", NOTHING, "m"(v)), VEC_GP);
	/* Flags that are set already do not fault when unmasked. */
	v = no_zero | 4;
	CHECK_EQ(TRY("ldmxcsr %0", NOTHING, "m"(v)), -1);
	__asm__ volatile("ldmxcsr %0" : : "m"(masked));
}

static void alignment(void)
{
	CHECK_HW_EQ(TRY("movaps %0, %%xmm0", NOTHING, "m"(image[4])), VEC_GP);
	CHECK_EQ(TRY("movups %0, %%xmm0", NOTHING, "m"(image[4])), -1);
	CHECK_HW_EQ(TRY("movaps %%xmm0, %0", NOTHING, "m"(image[8])), VEC_GP);
	CHECK_HW_EQ(TRY("paddd %0, %%xmm0", NOTHING, "m"(image[8])), VEC_GP);
	CHECK_HW_EQ(trap.err, 0);
	CHECK_EQ(TRY("addss %0, %%xmm0", NOTHING, "m"(image[3])), -1);
	CHECK_EQ(TRY("fxsave %0", NOTHING, "m"(image[8])), VEC_GP);
	CHECK_EQ(TRY("fxrstor %0", NOTHING, "m"(image[8])), VEC_GP);
}

static void x87_exceptions(void)
{
	uint16_t cw = 0x37f & ~4, sw; /* zero divide unmasked */
	/* Reported at the next waiting instruction, not by the one at fault. */
	__asm__ volatile("fninit\n\tfldcw %0" : : "m"(cw));
	CHECK_EQ(TRY("fld1\n\tfldz\n\tfdivrp\n\tfnop\n\tnop", NOTHING), VEC_MF);
	CHECK_EQ(*(uint16_t *)trap.ip, 0xd0d9); /* FNOP */
	__asm__ volatile("fnstsw %0" : "=m"(sw));
	CHECK_EQ(sw & 0x8084, 0x8084); /* B, ES, ZE */
	CHECK_EQ(TRY("fwait", NOTHING), VEC_MF);
	CHECK_EQ(TRY("fnclex\n\tfwait", NOTHING), -1);
	/* Waiting forms wait, FN forms do not. */
	__asm__ volatile("fninit\n\tfldcw %0\n\tfld1\n\tfldz\n\tfdivrp" : : "m"(cw));
	CHECK_EQ(TRY("fnstcw %0", "=m"(sw)), -1);
	CHECK_HW_EQ(TRY("paddb %%mm0, %%mm0", NOTHING), VEC_MF);
	CHECK_EQ(TRY("fninit\n\tfwait", NOTHING), -1);
	/* Unmasking a flag that is set raises it too. */
	cw = 0x37f;
	__asm__ volatile("fldcw %0\n\tfld1\n\tfldz\n\tfdivrp" : : "m"(cw));
	cw &= (uint16_t)~4;
	CHECK_HW_EQ(TRY("fldcw %0\n\tfwait", NOTHING, "m"(cw)), VEC_MF);
	__asm__ volatile("fninit");
	/* Stack faults: C1 tells overflow from underflow. */
	__asm__ volatile("fstp %%st(0)\n\tfnstsw %0" : "=m"(sw));
	CHECK_HW_EQ(sw & 0x241, 0x41);
	__asm__ volatile("fninit\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n"
			 "\tfld1\n\tfnstsw %0\n\tfninit"
			 : "=m"(sw));
	CHECK_HW_EQ(sw & 0x241, 0x241);
}

static void saved_image(void)
{
	uint32_t mx = 0x1fa0;
	static const uint64_t x5[2] = {0x1122334455667788, 0x99aabbccddeeff00};
	__asm__ volatile(
		"fninit\n\tfld1\n\tfldpi\n\tldmxcsr %0\n\tmovups %1, %%xmm5\n\tmovups %1, %%xmm13"
		:
		: "m"(mx), "m"(x5));
	for (unsigned i = 0; i < 512; i++)
		image[i] = image2[i] = 0xcc;
	__asm__ volatile("fxsave64 %0" : "=m"(image));
	CHECK_EQ(*(uint16_t *)&image[0], 0x37f);
	CHECK_EQ(*(uint16_t *)&image[2] & 0x3800, 6 << 11);
	CHECK_EQ(image[4], 0xc0); /* abridged tags: registers 6 and 7 are in use */
	CHECK_EQ(*(uint32_t *)&image[24], 0x1fa0);
	CHECK_EQ(*(uint32_t *)&image[28] | (guest_is_tcg ? 0xffff : 0), 0xffff);
	CHECK_EQ(*(uint64_t *)&image[32], 0xc90fdaa22168c235);
	CHECK_EQ(*(uint16_t *)&image[40], 0x4000);
	CHECK_EQ(*(uint64_t *)&image[48], 1ull << 63);
	CHECK_EQ(*(uint64_t *)&image[160 + 5 * 16], x5[0]);
	CHECK_EQ(*(uint64_t *)&image[160 + 13 * 16 + 8], x5[1]);
	CHECK_EQ(image[511], 0xcc);			    /* bytes 464 to 511 are the system's */
	CHECK_HW_EQ(*(uint16_t *)&image[6] & 0x7ff, 0x1eb); /* FLDPI */
	/* And back. */
	__asm__ volatile("fninit\n\txorps %%xmm5, %%xmm5\n\tfxrstor64 %0" : : "m"(image));
	__asm__ volatile("fxsave64 %0" : "=m"(image2));
	unsigned differs = 0;
	for (unsigned i = 1; i < 416 && !differs; i++) {
		if (image[i] != image2[i] && (i < 6 || i >= 24))
			differs = i;
	}
	CHECK_EQ(differs, 0);
	*(uint32_t *)&image[24] = 0x80000000;
	CHECK_HW_EQ(TRY("fxrstor %0", NOTHING, "m"(image)), VEC_GP);
	mx = 0x1f80;
	__asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mx));
}

static void environments(void)
{
	struct {
		uint16_t cw, r0, sw, r1, tw, r2;
		uint32_t ip;
		uint16_t cs, op;
		uint32_t dp;
		uint16_t ds, r3;
	} env;
	static const double value = 1.5;
	word ip;
	__asm__ volatile("fninit\n\tlea 1f(%%rip), %1\n1:\tfldl %2\n\tfnstenv %0"
			 : "=m"(env), "=&r"(ip)
			 : "m"(value));
	CHECK_EQ(env.cw, 0x37f);
	CHECK_EQ(env.sw & 0x3800, 7 << 11);
	CHECK_EQ(env.tw, 0x3fff); /* register 7 valid, the rest empty */
	CHECK_HW_EQ(env.ip, (uint32_t)ip);
	CHECK_HW_EQ(env.dp, (uint32_t)(word)&value);
	/* FNSTENV masks all exceptions. */
	uint16_t cw = 0x300;
	__asm__ volatile("fninit\n\tfldcw %1\n\tfnstenv %0\n\tfnstcw %1\n\tfninit"
			 : "=m"(env), "+m"(cw));
	CHECK_EQ(env.cw & 0x3f, 0);
	CHECK_HW_EQ(cw & 0x3f, 0x3f);
	/* FNSAVE resets, FRSTOR brings back. */
	uint8_t area[108];
	uint16_t sw;
	__asm__ volatile("fld1\n\tfldz\n\tfnsave %0\n\tfnstsw %1" : "=m"(area), "=m"(sw));
	CHECK_EQ(sw, 0);
	__asm__ volatile("frstor %1\n\tfnstsw %0\n\tfninit" : "=m"(sw) : "m"(area));
	CHECK_EQ(sw & 0x3800, 6 << 11);
}

static void mmx(void)
{
	uint64_t v = 0x0102030405060708, got;
	__asm__ volatile("fninit\n\tfld1\n\tmovq %1, %%mm3\n\tpaddb %%mm3, %%mm3\n\tmovq %%mm3, %0"
			 : "=m"(got)
			 : "m"(v));
	CHECK_EQ(got, 0x020406080a0c0e10);
	__asm__ volatile("fxsave %0" : "=m"(image));
	CHECK_EQ(image[4], 0xff);		      /* all tags valid */
	CHECK_EQ(*(uint16_t *)&image[2] & 0x3800, 0); /* TOP = 0 */
	CHECK_HW_EQ(*(uint16_t *)&image[32 + 3 * 16 + 8], 0xffff);
	__asm__ volatile("emms\n\tfxsave %0" : "=m"(image));
	CHECK_EQ(image[4], 0);
	__asm__ volatile("fninit");
}

void guest_main(void)
{
	RUN(availability);
	RUN(simd_exceptions);
	RUN(alignment);
	RUN(x87_exceptions);
	RUN(saved_image);
	RUN(environments);
	RUN(mmx);
}
