/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSRs, CPUID, the time-stamp counter, and the fast system calls.
 *
 * An MSR is looked for in the engine (those with side effects here), on the
 * bus (devices), in the CPU model (plain storage). What nobody has is #GP(0).
 */
#include <string.h>

#include "ops_sys.h"

#define EFER_WRITABLE ((uint64_t)(EFER_SCE | EFER_LME | EFER_NXE))

static bool msr_is_address(uint32_t msr)
{
	switch (msr) {
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_SYSENTER_ESP:
	case MSR_SYSENTER_EIP:
		return true;
	default:
		return false;
	}
}

static void tsc_adjust_set(struct xcpu *c, uint64_t adjust)
{
	xdevice_sync(c); /* the TSC-deadline timer depends on it */
	c->s.msr[CPU_MSR_TSC_ADJUST] = adjust;
	bus_tsc_adjust(xcpu_bus(c), c->index, adjust);
}

static int msr_read(struct xcpu *c, uint32_t msr, uint64_t *v)
{
	int rc;
	switch (msr) {
	case MSR_EFER:
		*v = c->s.efer;
		return 0;
	case MSR_FS_BASE:
		*v = c->s.seg[CPU_FS].base;
		return 0;
	case MSR_GS_BASE:
		*v = c->s.seg[CPU_GS].base;
		return 0;
	case MSR_TSC:
		*v = xtsc(c);
		return 0;
	case MSR_TSC_ADJUST:
		*v = c->s.msr[CPU_MSR_TSC_ADJUST];
		return 0;
	default:
		break;
	}
	xdevice_sync(c);
	rc = bus_msr_read(xcpu_bus(c), c->index, msr, v);
	return rc == RV_ENOENT ? cpu_model_msr_read(&c->s, msr, v) : rc;
}

static int efer_write(struct xcpu *c, uint64_t v)
{
	const uint64_t changed = (c->s.efer ^ v) & EFER_WRITABLE;
	if (v & ~(EFER_WRITABLE | EFER_LMA))
		return RV_EINVAL;
	if ((changed & EFER_LME) && (c->s.cr0 & CR0_PG))
		return RV_EINVAL;
	c->s.efer ^= changed; /* LMA is read-only */
	if (changed & EFER_NXE)
		xmmu_flush(c);
	return 0;
}

static int msr_write(struct xcpu *c, uint32_t msr, uint64_t v)
{
	int rc;
	if (msr_is_address(msr) && !cpu_canonical(v))
		return RV_EINVAL;
	switch (msr) {
	case MSR_EFER:
		return efer_write(c, v);
	case MSR_FS_BASE:
		c->s.seg[CPU_FS].base = v;
		return 0;
	case MSR_GS_BASE:
		c->s.seg[CPU_GS].base = v;
		return 0;
	case MSR_TSC: /* SDM vol. 3, 17.17.3: the difference goes to TSC_ADJUST as well */
		tsc_adjust_set(c, c->s.msr[CPU_MSR_TSC_ADJUST] + v - xtsc(c));
		return 0;
	case MSR_TSC_ADJUST:
		tsc_adjust_set(c, v);
		return 0;
	default:
		break;
	}
	xdevice_sync(c);
	rc = bus_msr_write(xcpu_bus(c), c->index, msr, v);
	return rc == RV_ENOENT ? cpu_model_msr_write(&c->s, msr, v) : rc;
}

static void op_rdmsr(struct xcpu *c, const struct dinsn *d)
{
	uint64_t v = 0;
	const uint32_t msr = XREG32(c, CPU_RCX);
	(void)d;
	xneed_cpl0(c);
	if (msr_read(c, msr, &v)) {
		rv_log(RV_LOG_DEBUG, "rdmsr %#x refused at rip %#llx", msr,
		       (unsigned long long)c->rip);
		xraise_gp(c, 0);
	}
	c->r[CPU_RAX] = (uint32_t)v;
	c->r[CPU_RDX] = v >> 32;
}

XBIND(xbind_rdmsr)
{
	(void)z;
	(void)d;
	return op_rdmsr;
}

static void op_wrmsr(struct xcpu *c, const struct dinsn *d)
{
	const uint32_t msr = XREG32(c, CPU_RCX);
	const uint64_t v = (uint64_t)XREG32(c, CPU_RDX) << 32 | XREG32(c, CPU_RAX);
	(void)d;
	xneed_cpl0(c);
	if (msr_write(c, msr, v)) {
		rv_log(RV_LOG_DEBUG, "wrmsr %#x = %#llx refused at rip %#llx", msr,
		       (unsigned long long)v, (unsigned long long)c->rip);
		xraise_gp(c, 0);
	}
}

XBIND(xbind_wrmsr)
{
	(void)z;
	(void)d;
	return op_wrmsr;
}

/* ---- time and identity ---- */

static void tsc_read(struct xcpu *c)
{
	if ((c->s.cr4 & CR4_TSD) && xcpl(c) != 0)
		xraise_gp(c, 0);
	const uint64_t v = xtsc(c);
	c->r[CPU_RAX] = (uint32_t)v;
	c->r[CPU_RDX] = v >> 32;
}

static void op_rdtsc(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	tsc_read(c);
}

XBIND(xbind_rdtsc)
{
	(void)z;
	(void)d;
	return op_rdtsc;
}

static void op_rdtscp(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	tsc_read(c);
	c->r[CPU_RCX] = (uint32_t)c->s.msr[CPU_MSR_TSC_AUX];
}

XBIND(xbind_rdtscp)
{
	(void)z;
	(void)d;
	return op_rdtscp;
}

/* The model has no performance counters: every index is out of range. */
static void op_rdpmc(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	xraise_gp(c, 0);
}

XBIND(xbind_rdpmc)
{
	(void)z;
	(void)d;
	return op_rdpmc;
}

static void op_cpuid(struct xcpu *c, const struct dinsn *d)
{
	struct cpuid_regs out;
	(void)d;
	cpu_model_cpuid(&c->s, c->index, xcpu_count(c), bus_apic_enabled(xcpu_bus(c), c->index),
			XREG32(c, CPU_RAX), XREG32(c, CPU_RCX), &out);
	c->r[CPU_RAX] = out.eax;
	c->r[CPU_RBX] = out.ebx;
	c->r[CPU_RCX] = out.ecx;
	c->r[CPU_RDX] = out.edx;
}

XBIND(xbind_cpuid)
{
	(void)z;
	(void)d;
	return op_cpuid;
}

/* ---- SYSCALL, SYSENTER and back ---- */

#define FLAT_CODE (SEG_G | SEG_P | SEG_S | SEG_CODE | SEG_WRITABLE | SEG_ACCESSED)
#define FLAT_DATA (SEG_G | SEG_DB | SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED)

/* These instructions read no descriptors: flat segments by definition. */
static void flat_set(struct xcpu *c, uint64_t cs, uint64_t ss, unsigned cpl, bool wide)
{
	struct cpu_seg *code = &c->s.seg[CPU_CS], *stack = &c->s.seg[CPU_SS];
	code->base = stack->base = 0;
	code->limit = stack->limit = UINT32_MAX;
	code->sel = (uint16_t)((cs & 0xfffc) | cpl);
	stack->sel = (uint16_t)((ss & 0xfffc) | cpl);
	code->attr = (uint16_t)(FLAT_CODE | (wide ? SEG_L : SEG_DB) | cpl << SEG_DPL_SHIFT);
	stack->attr = (uint16_t)(FLAT_DATA | cpl << SEG_DPL_SHIFT);
	xcpu_mode_update(c);
}

static void op_syscall(struct xcpu *c, const struct dinsn *d)
{
	const uint64_t star = c->s.msr[CPU_MSR_STAR];
	(void)d;
	if (!(c->s.efer & EFER_SCE) || !c->code64)
		xraise_ud(c);
	c->r[CPU_RCX] = c->r[XR_NEXT];
	c->r[CPU_R11] = xrflags(c);
	xrflags_write(c, 0, (c->s.msr[CPU_MSR_SFMASK] & UINT32_MAX) | RFLAGS_RF);
	c->r[XR_NEXT] = c->s.msr[CPU_MSR_LSTAR];
	flat_set(c, star >> 32, (star >> 32) + 8, 0, true);
}

XBIND(xbind_syscall)
{
	(void)z;
	(void)d;
	return op_syscall;
}

static void op_sysret(struct xcpu *c, const struct dinsn *d)
{
	const uint64_t star = c->s.msr[CPU_MSR_STAR] >> 48;
	const bool wide = d->size == 8;
	if (!(c->s.efer & EFER_SCE) || !c->code64)
		xraise_ud(c);
	xneed_cpl0(c);
	const uint64_t rip = wide ? c->r[CPU_RCX] : XREG32(c, CPU_RCX);
	if (!cpu_canonical(rip))
		xraise_gp(c, 0);
	const uint64_t flags = RFLAGS_ARITH | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL |
			       RFLAGS_NT | RFLAGS_AC | RFLAGS_ID | RFLAGS_RF;
	xrflags_write(c, c->r[CPU_R11] & ~(uint64_t)RFLAGS_RF, flags);
	c->r[XR_NEXT] = rip;
	flat_set(c, wide ? star + 16 : star, star + 8, 3, wide);
}

static uint8_t rexw_size(const struct xinsn *z)
{
	return z->insn.raw.rex.W ? 8 : 4;
}

XBIND(xbind_sysret)
{
	d->size = rexw_size(z);
	return op_sysret;
}

static void op_sysenter(struct xcpu *c, const struct dinsn *d)
{
	const uint64_t sel = c->s.msr[CPU_MSR_SYSENTER_CS];
	const bool lm = xlong_mode(c);
	(void)d;
	if (xreal_mode(c) || (sel & 0xfffc) == 0)
		xraise_gp(c, 0);
	xrflags_write(c, 0, RFLAGS_VM | RFLAGS_IF | RFLAGS_RF);
	const uint64_t rsp = c->s.msr[CPU_MSR_SYSENTER_ESP];
	const uint64_t rip = c->s.msr[CPU_MSR_SYSENTER_EIP];
	c->r[CPU_RSP] = lm ? rsp : (uint32_t)rsp;
	c->r[XR_NEXT] = lm ? rip : (uint32_t)rip;
	flat_set(c, sel, (sel & 0xfffc) + 8, 0, lm);
}

XBIND(xbind_sysenter)
{
	(void)z;
	(void)d;
	return op_sysenter;
}

static void op_sysexit(struct xcpu *c, const struct dinsn *d)
{
	const uint64_t sel = c->s.msr[CPU_MSR_SYSENTER_CS] & 0xfffc;
	const bool wide = d->size == 8;
	if (xreal_mode(c) || sel == 0)
		xraise_gp(c, 0);
	xneed_cpl0(c);
	const uint64_t rip = wide ? c->r[CPU_RDX] : XREG32(c, CPU_RDX);
	const uint64_t rsp = wide ? c->r[CPU_RCX] : XREG32(c, CPU_RCX);
	if (!cpu_canonical(rip) || !cpu_canonical(rsp))
		xraise_gp(c, 0);
	c->r[CPU_RSP] = rsp;
	c->r[XR_NEXT] = rip;
	flat_set(c, sel + (wide ? 32 : 16), sel + (wide ? 40 : 24), 3, wide);
}

XBIND(xbind_sysexit)
{
	d->size = rexw_size(z);
	return op_sysexit;
}

static void op_swapgs(struct xcpu *c, const struct dinsn *d)
{
	const uint64_t base = c->s.seg[CPU_GS].base;
	(void)d;
	xneed_cpl0(c);
	c->s.seg[CPU_GS].base = c->s.msr[CPU_MSR_KERNEL_GS_BASE];
	c->s.msr[CPU_MSR_KERNEL_GS_BASE] = base;
}

XBIND(xbind_swapgs)
{
	(void)d;
	return z->mode & XMODE_64 ? op_swapgs : NULL;
}
