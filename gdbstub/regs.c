/* SPDX-License-Identifier: Apache-2.0 */
/* GDB's register set of x86-64 (GDB manual, G.5.6 "i386 Features") over the canonical vCPU state.
 */
#include "regs.h"

#include <string.h>

#include "cpu/model.h"
#include "stub.h"

#define EFLAGS_SETTABLE                                                                            \
	(RFLAGS_ARITH | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF |  \
	 RFLAGS_AC | RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID)
/* SDM vol. 1, 8.1.5 and 8.1.3: bit 6 of FCW is always set; FSW.ES and B follow from the rest. */
#define FCW_MASK 0x1f3fu
#define FCW_ONE 0x0040u
#define FSW_EXCEPTIONS 0x003fu
#define FSW_ES_B 0x8080u
#define MXCSR_MASK 0xffffu
#define CR3_MASK                                                                                   \
	(((1ull << CPU_PHYS_BITS) - 1) & ~0xfe7ull) /* PWT and PCD stay (SDM vol. 3, 2.5) */

enum regs_kind {
	KIND_GPR,
	KIND_RIP,
	KIND_EFLAGS,
	KIND_SELECTOR,
	KIND_ST,
	KIND_FCTRL,
	KIND_FSTAT,
	KIND_FTAG,
	KIND_FISEG,
	KIND_FIOFF,
	KIND_FOSEG,
	KIND_FOOFF,
	KIND_FOP,
	KIND_XMM,
	KIND_MXCSR,
	KIND_BASE,
	KIND_MSR,
	KIND_CR0,
	KIND_CR2,
	KIND_CR3,
	KIND_CR4,
	KIND_CR8,
	KIND_EFER,
	KIND_DR,
	KIND_DR6,
	KIND_DR7
};

#define GPR(name, index, type) { name, type, REGS_CORE, KIND_GPR, index, 8 }
#define SEL(name, index) { name, "int32", REGS_CORE, KIND_SELECTOR, index, 4 }
#define ST(n) { "st" #n, "i387_ext", REGS_CORE, KIND_ST, n, 10 }
#define FPU(name, kind) { name, "int32", REGS_CORE, kind, 0, 4 }
#define XMM(n) { "xmm" #n, "vec128", REGS_SSE, KIND_XMM, n, 16 }
#define SYS(name, kind, index) { name, "int64", REGS_SYSTEM, kind, index, 8 }

static const struct regs_desc regs_table[] = {
	GPR("rax", CPU_RAX, "int64"),
	GPR("rbx", CPU_RBX, "int64"),
	GPR("rcx", CPU_RCX, "int64"),
	GPR("rdx", CPU_RDX, "int64"),
	GPR("rsi", CPU_RSI, "int64"),
	GPR("rdi", CPU_RDI, "int64"),
	GPR("rbp", CPU_RBP, "data_ptr"),
	GPR("rsp", CPU_RSP, "data_ptr"),
	GPR("r8", CPU_R8, "int64"),
	GPR("r9", CPU_R9, "int64"),
	GPR("r10", CPU_R10, "int64"),
	GPR("r11", CPU_R11, "int64"),
	GPR("r12", CPU_R12, "int64"),
	GPR("r13", CPU_R13, "int64"),
	GPR("r14", CPU_R14, "int64"),
	GPR("r15", CPU_R15, "int64"),
	{"rip", "code_ptr", REGS_CORE, KIND_RIP, 0, 8},
	{"eflags", "i386_eflags", REGS_CORE, KIND_EFLAGS, 0, 4},
	SEL("cs", CPU_CS),
	SEL("ss", CPU_SS),
	SEL("ds", CPU_DS),
	SEL("es", CPU_ES),
	SEL("fs", CPU_FS),
	SEL("gs", CPU_GS),
	ST(0),
	ST(1),
	ST(2),
	ST(3),
	ST(4),
	ST(5),
	ST(6),
	ST(7),
	FPU("fctrl", KIND_FCTRL),
	FPU("fstat", KIND_FSTAT),
	FPU("ftag", KIND_FTAG),
	FPU("fiseg", KIND_FISEG),
	FPU("fioff", KIND_FIOFF),
	FPU("foseg", KIND_FOSEG),
	FPU("fooff", KIND_FOOFF),
	FPU("fop", KIND_FOP),
	XMM(0),
	XMM(1),
	XMM(2),
	XMM(3),
	XMM(4),
	XMM(5),
	XMM(6),
	XMM(7),
	XMM(8),
	XMM(9),
	XMM(10),
	XMM(11),
	XMM(12),
	XMM(13),
	XMM(14),
	XMM(15),
	{"mxcsr", "i386_mxcsr", REGS_SSE, KIND_MXCSR, 0, 4},
	{"fs_base", "int64", REGS_SEGMENTS, KIND_BASE, CPU_FS, 8},
	{"gs_base", "int64", REGS_SEGMENTS, KIND_BASE, CPU_GS, 8},
	/* Up to efer: the names QEMU gives them, which scripts know. */
	SYS("k_gs_base", KIND_MSR, CPU_MSR_KERNEL_GS_BASE),
	SYS("cr0", KIND_CR0, 0),
	SYS("cr2", KIND_CR2, 0),
	SYS("cr3", KIND_CR3, 0),
	SYS("cr4", KIND_CR4, 0),
	SYS("cr8", KIND_CR8, 0),
	SYS("efer", KIND_EFER, 0),
	SYS("lstar", KIND_MSR, CPU_MSR_LSTAR),
	SYS("dr0", KIND_DR, 0),
	SYS("dr1", KIND_DR, 1),
	SYS("dr2", KIND_DR, 2),
	SYS("dr3", KIND_DR, 3),
	SYS("dr6", KIND_DR6, 0),
	SYS("dr7", KIND_DR7, 0),
};

const struct regs_desc *regs_desc_get(unsigned regnum)
{
	return regnum < RV_ARRAY_LEN(regs_table) ? &regs_table[regnum] : NULL;
}

/* ST(i) of the physical file st[]: TOP is bits 11-13 of FSW. */
static unsigned regs_st_phys(const struct cpu_state *s, unsigned i)
{
	return (((unsigned)s->fsw >> 11) + i) & 7u;
}

/* Everything that fits 64 bits. */
static uint64_t regs_value(const struct cpu_state *s, const struct regs_desc *d)
{
	switch ((enum regs_kind)d->kind) {
	case KIND_GPR:
		return s->gpr[d->index];
	case KIND_RIP:
		return s->rip;
	case KIND_EFLAGS:
		return s->rflags;
	case KIND_SELECTOR:
		return s->seg[d->index].sel;
	case KIND_FCTRL:
		return s->fcw;
	case KIND_FSTAT:
		return s->fsw;
	case KIND_FTAG:
		return s->ftw;
	/* The pointers as FXSAVE without REX.W splits them (SDM vol. 1, 10.5.1). */
	case KIND_FISEG:
		return s->fip >> 32 & 0xffff;
	case KIND_FIOFF:
		return (uint32_t)s->fip;
	case KIND_FOSEG:
		return s->fdp >> 32 & 0xffff;
	case KIND_FOOFF:
		return (uint32_t)s->fdp;
	case KIND_FOP:
		return s->fop;
	case KIND_MXCSR:
		return s->mxcsr;
	case KIND_BASE:
		return s->seg[d->index].base;
	case KIND_MSR:
		return s->msr[d->index];
	case KIND_CR0:
		return s->cr0;
	case KIND_CR2:
		return s->cr2;
	case KIND_CR3:
		return s->cr3;
	case KIND_CR4:
		return s->cr4;
	case KIND_EFER:
		return s->efer;
	case KIND_DR:
		return s->dr[d->index];
	case KIND_DR6:
		return s->dr6;
	case KIND_DR7:
		return s->dr7;
	case KIND_CR8: /* the local APIC's TPR, which is not part of a vCPU's state */
	case KIND_ST:
	case KIND_XMM:
		break;
	}
	return 0;
}

size_t regs_read(const struct cpu_state *s, unsigned regnum, uint8_t out[REGS_SIZE_MAX])
{
	const struct regs_desc *d = regs_desc_get(regnum);

	if (!d)
		return 0;
	memset(out, 0, REGS_SIZE_MAX);
	if (d->kind == KIND_ST) {
		const struct cpu_f80 *f = &s->st[regs_st_phys(s, d->index)];
		le64_put(out, f->mant);
		le16_put(out + 8, f->sexp);
	} else if (d->kind == KIND_XMM) {
		le64_put(out, s->xmm[d->index].lo);
		le64_put(out + 8, s->xmm[d->index].hi);
	} else if (d->size == 8) {
		le64_put(out, regs_value(s, d));
	} else {
		le32_put(out, (uint32_t)regs_value(s, d));
	}
	return d->size;
}

static int regs_selector_write(struct cpu_state *s, unsigned seg, uint64_t v)
{
	bool real = !(s->cr0 & CR0_PE) || (s->rflags & RFLAGS_VM) != 0;

	if (v == s->seg[seg].sel)
		return RV_OK;
	if (v > 0xffff || !real)
		return RV_EINVAL;
	s->seg[seg].sel = (uint16_t)v;
	s->seg[seg].base = v << 4; /* SDM vol. 3, 20.1.1 */
	return RV_OK;
}

static int regs_cr3_write(struct cpu_state *s, uint64_t v)
{
	if (v == s->cr3)
		return RV_OK;
	/* PAE paging: the PDPTEs would have to be loaded with it. */
	if ((s->cr4 & CR4_PAE) && (s->cr0 & CR0_PG) && !(s->efer & EFER_LMA))
		return RV_EINVAL;
	s->cr3 = v & CR3_MASK;
	return RV_OK;
}

static void regs_fpu_env_update(struct cpu_state *s)
{
	s->fsw = (uint16_t)(s->fsw & ~FSW_ES_B);
	if (s->fsw & ~s->fcw & FSW_EXCEPTIONS)
		s->fsw = (uint16_t)(s->fsw | FSW_ES_B);
}

static int regs_value_write(struct cpu_state *s, const struct regs_desc *d, uint64_t v)
{
	switch ((enum regs_kind)d->kind) {
	case KIND_GPR:
		s->gpr[d->index] = v;
		return RV_OK;
	case KIND_RIP:
		if ((s->efer & EFER_LMA) && !cpu_canonical(v))
			return RV_EINVAL;
		s->rip = v;
		return RV_OK;
	case KIND_EFLAGS:
		s->rflags = (v & EFLAGS_SETTABLE) | (s->rflags & RFLAGS_VM) | RFLAGS_1;
		return RV_OK;
	case KIND_SELECTOR:
		return regs_selector_write(s, d->index, v);
	case KIND_FCTRL:
		s->fcw = (uint16_t)((v & FCW_MASK) | FCW_ONE);
		regs_fpu_env_update(s);
		return RV_OK;
	case KIND_FSTAT:
		s->fsw = (uint16_t)v;
		regs_fpu_env_update(s);
		return RV_OK;
	case KIND_FTAG:
		s->ftw = (uint16_t)v;
		return RV_OK;
	case KIND_FISEG:
		s->fip = (s->fip & ~(0xffffull << 32)) | (v & 0xffff) << 32;
		return RV_OK;
	case KIND_FIOFF:
		s->fip = (s->fip & ~0xffffffffull) | (uint32_t)v;
		return RV_OK;
	case KIND_FOSEG:
		s->fdp = (s->fdp & ~(0xffffull << 32)) | (v & 0xffff) << 32;
		return RV_OK;
	case KIND_FOOFF:
		s->fdp = (s->fdp & ~0xffffffffull) | (uint32_t)v;
		return RV_OK;
	case KIND_FOP:
		s->fop = (uint16_t)(v & 0x7ff);
		return RV_OK;
	case KIND_MXCSR:
		s->mxcsr = (uint32_t)(v & MXCSR_MASK);
		return RV_OK;
	case KIND_BASE:
		if (!cpu_canonical(v))
			return RV_EINVAL;
		s->seg[d->index].base = v;
		return RV_OK;
	case KIND_MSR:
		if (!cpu_canonical(v))
			return RV_EINVAL;
		s->msr[d->index] = v;
		return RV_OK;
	case KIND_CR2:
		s->cr2 = v;
		return RV_OK;
	case KIND_CR3:
		return regs_cr3_write(s, v);
	default:
		return v == regs_value(s, d) ? RV_OK : RV_EINVAL;
	}
}

int regs_write(struct cpu_state *s, unsigned regnum, const uint8_t *in)
{
	const struct regs_desc *d = regs_desc_get(regnum);

	if (!d)
		return RV_EINVAL;
	if (d->kind == KIND_ST) {
		struct cpu_f80 *f = &s->st[regs_st_phys(s, d->index)];
		f->mant = le64_get(in);
		f->sexp = le16_get(in + 8);
		return RV_OK;
	}
	if (d->kind == KIND_XMM) {
		s->xmm[d->index].lo = le64_get(in);
		s->xmm[d->index].hi = le64_get(in + 8);
		return RV_OK;
	}
	return regs_value_write(s, d, d->size == 8 ? le64_get(in) : le32_get(in));
}

void regs_handle_g(struct gdbstub *s, struct pkt *k)
{
	struct cpu_state state;
	uint8_t buf[REGS_SIZE_MAX];

	if (!pkt_done(k)) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	s->target->ops->regs_get(s->target, s->cpu_g, &state);
	for (unsigned i = 0; i < RV_ARRAY_LEN(regs_table); i++)
		reply_hex(&s->reply, buf, regs_read(&state, i, buf));
}

static void regs_set(struct gdbstub *s, int rc, const struct cpu_state *state)
{
	if (rc != RV_OK) {
		reply_error(&s->reply, STUB_ERR_VALUE);
		return;
	}
	rc = s->target->ops->regs_set(s->target, s->cpu_g, state);
	if (rc == RV_OK)
		reply_text(&s->reply, "OK");
	else
		reply_error(&s->reply, STUB_ERR_FORM);
}

void regs_handle_G(struct gdbstub *s, struct pkt *k)
{
	uint8_t buf[RV_ARRAY_LEN(regs_table)][REGS_SIZE_MAX];
	struct cpu_state state;
	int rc = RV_OK;

	for (unsigned i = 0; i < RV_ARRAY_LEN(regs_table); i++) {
		if (!pkt_bytes(k, buf[i], regs_table[i].size)) {
			reply_error(&s->reply, STUB_ERR_FORM);
			return;
		}
	}
	if (!pkt_done(k)) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	s->target->ops->regs_get(s->target, s->cpu_g, &state);
	/* FSW first: its TOP says which of st[] the stack's registers are. */
	for (unsigned i = 0; i < RV_ARRAY_LEN(regs_table); i++)
		if (regs_table[i].kind == KIND_FSTAT)
			rc = regs_write(&state, i, buf[i]);
	for (unsigned i = 0; i < RV_ARRAY_LEN(regs_table) && rc == RV_OK; i++)
		rc = regs_write(&state, i, buf[i]);
	regs_set(s, rc, &state);
}

void regs_handle_p(struct gdbstub *s, struct pkt *k)
{
	struct cpu_state state;
	uint8_t buf[REGS_SIZE_MAX];
	uint64_t n;

	if (!pkt_hex(k, &n) || !pkt_done(k) || n >= RV_ARRAY_LEN(regs_table)) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	s->target->ops->regs_get(s->target, s->cpu_g, &state);
	reply_hex(&s->reply, buf, regs_read(&state, (unsigned)n, buf));
}

void regs_handle_P(struct gdbstub *s, struct pkt *k)
{
	struct cpu_state state;
	uint8_t buf[REGS_SIZE_MAX] = { 0 };
	uint64_t n;

	if (!pkt_hex(k, &n) || !pkt_eat(k, '=') || n >= RV_ARRAY_LEN(regs_table) ||
		!pkt_bytes(k, buf, regs_table[n].size) || !pkt_done(k)) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	s->target->ops->regs_get(s->target, s->cpu_g, &state);
	regs_set(s, regs_write(&state, (unsigned)n, buf), &state);
}
