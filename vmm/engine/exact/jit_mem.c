/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One access to guest memory: the only place that knows how. A second back
 * end (guest addresses mapped as they are) would replace this file.
 *
 * One compare covers the tag and the end of the page: the operand's offset in
 * the page comes out of the XOR with the tag, and anything else has high bits
 * set. What is not in the table (devices, watched pages, stores to code and
 * page tables, misses) is left to the body, which does the whole instruction.
 */
#include "jit_int.h"

const int8_t xjit_host[16] = {
	[CPU_RAX] = H_R9,  [CPU_RCX] = H_R10, [CPU_RDX] = H_RDX, [CPU_RBX] = H_RBX,
	[CPU_RSP] = H_R11, [CPU_RBP] = H_RBP, [CPU_RSI] = H_RSI, [CPU_RDI] = H_RDI,
	[CPU_R8] = H_R8,   [CPU_R9] = -1,     [CPU_R10] = -1,    [CPU_R11] = -1,
	[CPU_R12] = H_R12, [CPU_R13] = H_R13, [CPU_R14] = -1,    [CPU_R15] = -1,
};

void xtr_get(struct xtr *t, unsigned scratch, unsigned guest)
{
	if (xjit_host[guest] >= 0)
		a_mov_rr(&t->hot, scratch, (unsigned)xjit_host[guest]);
	else
		a_rm(&t->hot, A_MOV_LOAD, scratch, a_cpu(OFF_R(guest)));
}

void xtr_put(struct xtr *t, unsigned scratch, unsigned guest)
{
	if (xjit_host[guest] >= 0)
		a_mov_rr(&t->hot, (unsigned)xjit_host[guest], scratch);
	else
		a_rm(&t->hot, A_MOV_STORE, scratch, a_cpu(OFF_R(guest)));
}

unsigned xtr_use(struct xtr *t, unsigned scratch, unsigned guest)
{
	if (xjit_host[guest] >= 0)
		return (unsigned)xjit_host[guest];
	a_rm(&t->hot, A_MOV_LOAD, scratch, a_cpu(OFF_R(guest)));
	return scratch;
}

/* dst = offset of the memory operand (LEA), or its linear address. Changes no flag if lea; S_2 is lost. */
void xtr_address(struct xtr *t, unsigned dst, bool lea)
{
	const struct dinsn *d = t->d;
	struct xasm *a = &t->hot;
	const uint32_t w = d->ea & XEA_ADDR32 ? 0 : A_W; /* a 32-bit LEA truncates */
	const bool seg = !lea && (d->ea & XEA_SEG);
	struct xmem m = a_at(0, d->disp);
	if (d->base == XR_NEXT) {
		a_rm(a, A_MOV_LOAD, dst, a_cpu(OFF(jit.page)));
		a_rm(a, A_LEA, dst, a_at((int)dst, t->f->off + d->len));
		a_rm(a, 0x8du | w, dst, a_at((int)dst, d->disp));
	} else if (d->base == XR_ZERO && d->index == XR_ZERO) {
		a_mov_ri(a, dst, w ? (uint64_t)(int64_t)d->disp : (uint32_t)d->disp);
	} else {
		if (d->index != XR_ZERO) {
			m.index = (int8_t)xtr_use(t, S_2, d->index);
			m.scale = d->scale;
		}
		if (d->base != XR_ZERO) {
			m.base = (int8_t)xtr_use(t, dst, d->base);
		} else {
			a_mov_ri(a, dst, 0);
			m.base = (int8_t)dst;
		}
		if (m.index < 0 && m.disp == 0)
			a_rr(a, 0x8bu | w, dst, (unsigned)m.base);
		else
			a_rm(a, 0x8du | w, dst, m);
	}
	if (seg)
		a_rm(a, 0x03u | A_W, dst,
		     a_cpu((int64_t)(offsetof(struct xcpu, s.seg) + d->seg * sizeof(struct cpu_seg) +
				     offsetof(struct cpu_seg, base))));
}

static int64_t table_offset(const struct xtr *t, bool store)
{
	return (int64_t)xcpu_table_offset(t->user, store ? XACC_WRITE : XACC_READ);
}

void xtr_access_rcx(struct xtr *t, bool store, unsigned size, bool align)
{
	struct xasm *a = &t->hot;
	const int64_t table = table_offset(t, store);
	struct xmem entry = a_at(S_CPU, table);
	xtr_flags_save(t);
	if (align) {
		a8(a, 0xf6); /* test cl, 15 */
		a8(a, 0xc1);
		a8(a, 15);
		xtr_site(t, a_jcc(a, CC_NZ), XS_BODY);
	}
	a_rr(a, 0x8bu, S_2, S_1);
	a_rr(a, 0xc1u, 5, S_2); /* shr: 16 bytes an entry */
	a8(a, RV_PAGE_SHIFT - 4);
	a_alu_ri(a, 0, A_AND, S_2, (XTLB_SIZE - 1) << 4);
	entry.index = S_2;
	entry.disp = (int32_t)(table + (int64_t)offsetof(struct xtlb_entry, tag));
	a_rm(a, 0x33u | A_W, S_1, entry);
	a_alu_ri(a, A_W, A_CMP, S_1, (int32_t)(RV_PAGE_SIZE - size));
	xtr_site(t, a_jcc(a, CC_NBE), XS_BODY);
	entry.disp = (int32_t)(table + (int64_t)offsetof(struct xtlb_entry, host));
	a_rm(a, 0x03u | A_W, S_1, entry);
}

void xtr_access(struct xtr *t, bool store, unsigned size, bool align)
{
	xtr_flags_save(t);
	xtr_address(t, S_1, false);
	xtr_access_rcx(t, store, size, align);
}
