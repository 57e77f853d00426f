/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System instructions: the table, and the small ones: flags, interrupts,
 * port I/O, cache control. Control registers are in ops_sys_cr.c, segments and
 * far transfers in ops_sys_seg.c, MSRs and system calls in ops_sys_msr.c.
 *
 * What is not in the table is #UD, as on a processor without the feature: VMX,
 * SMX, RSM, CLAC/STAC, XGETBV, RDFSBASE, INVPCID, MONITOR, RDRAND.
 */
#include "ops_sys.h"

/* ---- flags ---- */

static void need_iopl(struct xcpu *c)
{
	if (!xreal_mode(c) && xcpl(c) > xiopl(c))
		xraise_gp(c, 0);
}

static void op_cli(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	need_iopl(c);
	c->s.rflags &= ~(uint64_t)RFLAGS_IF;
}

static XBIND(bind_cli)
{
	(void)z;
	(void)d;
	return op_cli;
}

/* The shadow opens only when IF was clear (SDM vol. 2, STI). */
static void op_sti(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	need_iopl(c);
	if (c->s.rflags & RFLAGS_IF)
		return;
	c->s.rflags |= RFLAGS_IF;
	c->s.shadow_sti = true;
	c->leave = true;
}

static XBIND(bind_sti)
{
	(void)z;
	(void)d;
	return op_sti;
}

static uint8_t flags_size(const struct xinsn *z)
{
	switch (z->insn.mnemonic) {
	case ZYDIS_MNEMONIC_PUSHFQ:
	case ZYDIS_MNEMONIC_POPFQ:
		return 8;
	case ZYDIS_MNEMONIC_PUSHFD:
	case ZYDIS_MNEMONIC_POPFD:
		return 4;
	default:
		return 2;
	}
}

static void op_pushf(struct xcpu *c, const struct dinsn *d)
{
	xpush(c, d->size, xrflags(c) & ~(uint64_t)(RFLAGS_VM | RFLAGS_RF));
}

static XBIND(bind_pushf)
{
	d->size = flags_size(z);
	return op_pushf;
}

static void op_popf(struct xcpu *c, const struct dinsn *d)
{
	const unsigned cpl = xreal_mode(c) ? 0 : xcpl(c);
	uint64_t mask = RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT;
	const uint64_t v = xpop(c, d->size);
	if (d->size >= 4)
		mask |= RFLAGS_AC | RFLAGS_ID | RFLAGS_RF;
	if (cpl <= xiopl(c))
		mask |= RFLAGS_IF;
	if (cpl == 0)
		mask |= RFLAGS_IOPL;
	xrflags_write(c, v & ~(uint64_t)RFLAGS_RF, mask);
}

static XBIND(bind_popf)
{
	d->size = flags_size(z);
	return op_popf;
}

/* ---- software interrupts ---- */

static void op_int(struct xcpu *c, const struct dinsn *d)
{
	xsoft_int(c, (uint8_t)d->imm);
}

static XBIND(bind_int)
{
	d->imm = z->insn.mnemonic == ZYDIS_MNEMONIC_INT3 ? VEC_BP : d->imm & 0xff;
	return op_int;
}

static void op_int1(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	xsoft_int1(c);
}

static XBIND(bind_int1)
{
	(void)z;
	(void)d;
	return op_int1;
}

static void op_into(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	if (c->fl & XF_OF)
		xsoft_int(c, VEC_OF);
}

static XBIND(bind_into)
{
	(void)d;
	return z->mode & XMODE_64 ? NULL : op_into;
}

/* ---- port I/O (SDM vol. 1, chapter 19) ---- */

void xio_check(struct xcpu *c, uint16_t port, unsigned size)
{
	const struct cpu_seg *tr = &c->s.seg[CPU_TR];
	if (likely(xreal_mode(c) || xcpl(c) <= xiopl(c)))
		return;
	/* Only a 32-bit (or 64-bit) TSS has a bit map; two bytes are always read. */
	if (!(tr->attr & SEG_P) || (tr->attr & 0xd) != SYS_TSS32 || tr->limit < 103)
		xraise_gp(c, 0);
	const uint64_t map = xmem_sys_read(c, xsys_linear(c, tr->base + 102), 2);
	const uint64_t at = map + port / 8u;
	if (at + 1 > tr->limit)
		xraise_gp(c, 0);
	const uint64_t bits = xmem_sys_read(c, xsys_linear(c, tr->base + at), 2);
	if (bits >> (port & 7) & ((1u << size) - 1))
		xraise_gp(c, 0);
}

static void io_breakpoint(struct xcpu *c, uint16_t port, unsigned size)
{
	if (unlikely((c->s.dr7 & 0xff) && (c->s.cr4 & CR4_DE)))
		c->pending_db |= xdebug_match(c, port, size, 2);
}

static uint16_t io_port(const struct xcpu *c, const struct dinsn *d)
{
	return d->aux ? XREG16(c, CPU_RDX) : (uint8_t)d->imm;
}

static void op_in(struct xcpu *c, const struct dinsn *d)
{
	const uint16_t port = io_port(c, d);
	xio_check(c, port, d->size);
	xdevice_sync(c);
	const uint64_t v = bus_pio_read(xcpu_bus(c), c->index, port, d->size);
	if (d->size == 1)
		XREG8(c, 0) = (uint8_t)v;
	else if (d->size == 2)
		XREG16(c, CPU_RAX) = (uint16_t)v;
	else
		c->r[CPU_RAX] = (uint32_t)v;
	io_breakpoint(c, port, d->size);
}

static void op_out(struct xcpu *c, const struct dinsn *d)
{
	const uint16_t port = io_port(c, d);
	xio_check(c, port, d->size);
	xdevice_sync(c);
	bus_pio_write(xcpu_bus(c), c->index, port, d->size, c->r[CPU_RAX] & xmask_of(d->size));
	io_breakpoint(c, port, d->size);
}

static XBIND(bind_in)
{
	d->size = (uint8_t)(z->op[0].size / 8);
	d->aux = z->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
	return op_in;
}

static XBIND(bind_out)
{
	d->size = (uint8_t)(z->op[1].size / 8);
	d->aux = z->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER;
	return op_out;
}

/* ---- the rest ---- */

static void op_hlt(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	xneed_cpl0(c);
	c->s.activity = CPU_HALTED;
	c->leave = true;
}

static XBIND(bind_hlt)
{
	(void)z;
	(void)d;
	return op_hlt;
}

/* Translations follow memory by themselves and there are no caches: only CPL is checked. */
static void op_privileged_nop(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	xneed_cpl0(c);
}

static XBIND(bind_privileged_nop)
{
	(void)z;
	(void)d;
	return op_privileged_nop;
}

/* May fault as a one-byte load (SDM vol. 2, CLFLUSH). */
static void op_clflush(struct xcpu *c, const struct dinsn *d)
{
	xmem_probe(c, d->seg, xea(c, d, 1, XACC_READ), 1, XACC_READ);
}

static XBIND(bind_clflush)
{
	(void)z;
	return d->flags & XD_MEM ? op_clflush : NULL;
}

#define OP(name, end, bind) { ZYDIS_MNEMONIC_##name, (end) ? XOP_END : 0, bind }

static const struct xop sys_ops[] = {
	OP(ARPL, 0, xbind_arpl),
	OP(CALL, 1, xbind_call_far),
	OP(CLFLUSH, 0, bind_clflush),
	OP(CLI, 0, bind_cli),
	OP(CLTS, 1, xbind_clts),
	OP(CPUID, 0, xbind_cpuid),
	OP(HLT, 1, bind_hlt),
	OP(IN, 1, bind_in),
	OP(INT, 1, bind_int),
	OP(INT1, 1, bind_int1),
	OP(INT3, 1, bind_int),
	OP(INTO, 1, bind_into),
	OP(INVD, 0, bind_privileged_nop),
	OP(INVLPG, 1, bind_privileged_nop),
	OP(IRET, 1, xbind_iret),
	OP(IRETD, 1, xbind_iret),
	OP(IRETQ, 1, xbind_iret),
	OP(JMP, 1, xbind_jmp_far),
	OP(LAR, 0, xbind_lar),
	OP(LDS, 0, xbind_lfar),
	OP(LES, 0, xbind_lfar),
	OP(LFS, 0, xbind_lfar),
	OP(LGDT, 1, xbind_lgdt),
	OP(LGS, 0, xbind_lfar),
	OP(LIDT, 1, xbind_lgdt),
	OP(LLDT, 1, xbind_lldt),
	OP(LMSW, 1, xbind_lmsw),
	OP(LSL, 0, xbind_lsl),
	OP(LSS, 1, xbind_lfar),
	OP(LTR, 1, xbind_ltr),
	OP(MOV, 0, xbind_mov_sreg),
	OP(MOV, 1, xbind_mov_crdr),
	OP(OUT, 1, bind_out),
	OP(POP, 0, xbind_pop_sreg),
	OP(POPF, 0, bind_popf),
	OP(POPFD, 0, bind_popf),
	OP(POPFQ, 0, bind_popf),
	OP(PUSH, 0, xbind_push_sreg),
	OP(PUSHF, 0, bind_pushf),
	OP(PUSHFD, 0, bind_pushf),
	OP(PUSHFQ, 0, bind_pushf),
	OP(RDMSR, 0, xbind_rdmsr),
	OP(RDPMC, 1, xbind_rdpmc),
	OP(RDTSC, 0, xbind_rdtsc),
	OP(RDTSCP, 0, xbind_rdtscp),
	OP(RET, 1, xbind_ret_far),
	OP(SGDT, 0, xbind_sgdt),
	OP(SIDT, 0, xbind_sgdt),
	OP(SLDT, 0, xbind_sldt),
	OP(SMSW, 0, xbind_smsw),
	OP(STI, 1, bind_sti),
	OP(STR, 0, xbind_sldt),
	OP(SWAPGS, 0, xbind_swapgs),
	OP(SYSCALL, 1, xbind_syscall),
	OP(SYSENTER, 1, xbind_sysenter),
	OP(SYSEXIT, 1, xbind_sysexit),
	OP(SYSRET, 1, xbind_sysret),
	OP(VERR, 0, xbind_verr),
	OP(VERW, 0, xbind_verw),
	OP(WBINVD, 0, bind_privileged_nop),
	OP(WRMSR, 1, xbind_wrmsr),
};

const struct xop_table xops_sys = { sys_ops, RV_ARRAY_LEN(sys_ops) };
