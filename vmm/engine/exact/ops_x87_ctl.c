/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 control: control, status and tag words, environment and full save and
 * restore, stack pointer moves, waits. The environment's layouts are those of
 * SDM vol. 1, figures 8-9 and 8-11; the real-address forms are written like
 * the protected ones. With CR0.NE = 0 a pending exception would go out by FERR#,
 * which the board does not wire: it is then not reported (seg.c).
 */
#include "x87.h"

void x87_init(struct xcpu *c)
{
	c->s.fcw = FCW_INIT;
	c->s.fsw = 0;
	c->s.ftw = 0xffff;
	c->s.fop = 0;
	c->s.fip = 0;
	c->s.fdp = 0;
}

uint16_t x87_tags(const struct cpu_f80 st[8], unsigned used)
{
	unsigned ftw = 0;

	for (unsigned i = 0; i < 8; i++)
		ftw |= (used >> i & 1 ? x87_class_tag(&st[i]) : 3u) << 2 * i;
	return (uint16_t)ftw;
}

static void x_fninit(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	x87_check_nowait(c);
	x87_init(c);
}

static void x_fnclex(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	x87_check_nowait(c);
	c->s.fsw &= (uint16_t)~(FSW_EXC | FSW_SF | FSW_ES | FSW_B);
}

/* Reserved bits of the control word: bit 6 reads as one, the rest as zero. */
static void fcw_set(struct xcpu *c, unsigned v)
{
	c->s.fcw = (uint16_t)((v & 0x1f3fu) | 0x40u);
	x87_summary(c);
}

static void x_fldcw(struct xcpu *c, const struct dinsn *d)
{
	x87_check(c);
	fcw_set(c, xmem_read16(c, d->seg, xea(c, d, 2, XACC_READ)));
}

static void x_fnstcw(struct xcpu *c, const struct dinsn *d)
{
	x87_check_nowait(c);
	xmem_write16(c, d->seg, xea(c, d, 2, XACC_WRITE), c->s.fcw);
}

static void x_fnstsw_m(struct xcpu *c, const struct dinsn *d)
{
	x87_check_nowait(c);
	xmem_write16(c, d->seg, xea(c, d, 2, XACC_WRITE), c->s.fsw);
}

static void x_fnstsw_ax(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	x87_check_nowait(c);
	XREG16(c, CPU_RAX) = c->s.fsw;
}

/* FWAIT: #NM needs both MP and TS (SDM vol. 3, 2.5). */
static void x_fwait(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	if ((c->s.cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
		xraise(c, VEC_NM);
	if ((c->s.fsw & FSW_ES) && (c->s.cr0 & CR0_NE))
		xraise(c, VEC_MF);
}

static void x_fnop(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	x87_check(c);
}

/* FENI, FDISI, FSETPM of the 8087 and 287: no operation, and they do not wait. */
static void x_fnop_nowait(struct xcpu *c, const struct dinsn *d)
{
	(void)d;
	x87_check_nowait(c);
}

static void x_fincstp(struct xcpu *c, const struct dinsn *d)
{
	x87_check(c);
	x87_top_add(c, 1);
	x87_flags(c, 0, FSW_C1, 0);
	x87_pointers(c, d);
}

static void x_fdecstp(struct xcpu *c, const struct dinsn *d)
{
	x87_check(c);
	x87_top_add(c, 7);
	x87_flags(c, 0, FSW_C1, 0);
	x87_pointers(c, d);
}

static void x_ffree(struct xcpu *c, const struct dinsn *d)
{
	x87_check(c);
	x87_tag_set(c, x87_phys(c, d->rm), 3);
	x87_pointers(c, d);
}

static void x_ffreep(struct xcpu *c, const struct dinsn *d)
{
	x87_check(c);
	x87_tag_set(c, x87_phys(c, d->rm), 3);
	x87_pop(c);
	x87_pointers(c, d);
}

/* ---- environment ---- */
#define ENV_MAX 28u
#define SAVE_MAX (ENV_MAX + 80u)

static unsigned env_size(const struct dinsn *d)
{
	return d->size == 2 ? 14 : 28;
}

static void env_build(const struct xcpu *c, const struct dinsn *d, uint8_t *img)
{
	if (d->size == 2) {
		const uint16_t w[7] = { c->s.fcw, c->s.fsw, c->s.ftw, (uint16_t)c->s.fip, 0,
					(uint16_t)c->s.fdp, 0 };

		memcpy(img, w, sizeof(w));
	} else {
		const uint32_t w[7] = { 0xffff0000u | c->s.fcw, 0xffff0000u | c->s.fsw,
					0xffff0000u | c->s.ftw, (uint32_t)c->s.fip,
					(uint32_t)(c->s.fop & 0x7ffu) << 16, (uint32_t)c->s.fdp,
					0xffff0000u };

		memcpy(img, w, sizeof(w));
	}
}

/* Of the tag word only empty or not counts. */
static void env_load(struct xcpu *c, const struct dinsn *d, const uint8_t *img)
{
	unsigned fcw, fsw, ftw, used = 0;

	if (d->size == 2) {
		uint16_t w[7];

		memcpy(w, img, sizeof(w));
		fcw = w[0];
		fsw = w[1];
		ftw = w[2];
		c->s.fip = w[3];
		c->s.fdp = w[5];
		c->s.fop = 0;
	} else {
		uint32_t w[7];

		memcpy(w, img, sizeof(w));
		fcw = w[0];
		fsw = w[1];
		ftw = w[2];
		c->s.fip = w[3];
		c->s.fop = (uint16_t)(w[4] >> 16 & 0x7ffu);
		c->s.fdp = w[5];
	}
	for (unsigned i = 0; i < 8; i++)
		if ((ftw >> 2 * i & 3) != 3)
			used |= 1u << i;
	c->s.fsw = (uint16_t)fsw;
	c->s.ftw = x87_tags(c->s.st, used);
	fcw_set(c, fcw);
}

/* Writes n bytes, all checked first, in pieces that no page boundary makes visible. */
static void image_write(struct xcpu *c, const struct dinsn *d, const uint8_t *img, unsigned n)
{
	uint64_t lin = xea(c, d, n, XACC_WRITE);
	unsigned i;

	xmem_probe(c, d->seg, lin, 1, XACC_WRITE);
	xmem_probe(c, d->seg, lin + n - 1, 1, XACC_WRITE);
	for (i = 0; i + 4 <= n; i += 4) {
		uint32_t v;

		memcpy(&v, img + i, 4);
		xmem_write32(c, d->seg, lin + i, v);
	}
	if (i < n) {
		uint16_t v;

		memcpy(&v, img + i, 2);
		xmem_write16(c, d->seg, lin + i, v);
	}
}

static void image_read(struct xcpu *c, const struct dinsn *d, uint8_t *img, unsigned n)
{
	uint64_t lin = xea(c, d, n, XACC_READ);
	unsigned i;

	for (i = 0; i + 4 <= n; i += 4) {
		uint32_t v = xmem_read32(c, d->seg, lin + i);

		memcpy(img + i, &v, 4);
	}
	if (i < n) {
		uint16_t v = xmem_read16(c, d->seg, lin + i);

		memcpy(img + i, &v, 2);
	}
}

static void x_fnstenv(struct xcpu *c, const struct dinsn *d)
{
	uint8_t img[ENV_MAX];

	x87_check_nowait(c);
	env_build(c, d, img);
	image_write(c, d, img, env_size(d));
	fcw_set(c, c->s.fcw | FCW_MASKS);
}

static void x_fldenv(struct xcpu *c, const struct dinsn *d)
{
	uint8_t img[ENV_MAX];

	x87_check(c);
	image_read(c, d, img, env_size(d));
	env_load(c, d, img);
}

static void x_fnsave(struct xcpu *c, const struct dinsn *d)
{
	unsigned env = env_size(d);
	uint8_t img[SAVE_MAX];

	x87_check_nowait(c);
	env_build(c, d, img);
	for (unsigned i = 0; i < 8; i++) {
		struct x87_m80 m = x87_to_m80(*x87_st(c, i));

		memcpy(img + env + 10 * i, m.b, 10);
	}
	image_write(c, d, img, env + 80);
	x87_init(c);
}

static void x_frstor(struct xcpu *c, const struct dinsn *d)
{
	unsigned env = env_size(d), top;
	uint8_t img[SAVE_MAX];

	x87_check(c);
	image_read(c, d, img, env + 80);
	/* The registers first: the tags depend on them. TOP is bits 11-13 of the second word. */
	top = img[d->size == 2 ? 3 : 5] >> 3 & 7;
	for (unsigned i = 0; i < 8; i++) {
		struct cpu_f80 *v = &c->s.st[(top + i) & 7];

		memcpy(&v->mant, img + env + 10 * i, 8);
		memcpy(&v->sexp, img + env + 10 * i + 8, 2);
	}
	env_load(c, d, img);
}

#define BIND(name)                                                                                 \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		d->rm = z->insn.raw.modrm.rm;                                                      \
		return x_##name;                                                                   \
	}
BIND(fninit)
BIND(fnclex)
BIND(fldcw)
BIND(fnstcw)
BIND(fwait)
BIND(fnop)
BIND(fnop_nowait)
BIND(fincstp)
BIND(fdecstp)
BIND(ffree)
BIND(ffreep)

static xop_fn bind_fnstsw(const struct xinsn *z, struct dinsn *d)
{
	(void)z;
	return d->flags & XD_MEM ? x_fnstsw_m : x_fnstsw_ax;
}

/* The operand-size attribute picks the layout: 16-bit with 66 (REX.W overrides it) in 32- and
 * 64-bit code. */
#define BIND_ENV(name)                                                                             \
	static xop_fn bind_##name(const struct xinsn *z, struct dinsn *d)                          \
	{                                                                                          \
		bool prefix = z->insn.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE;                   \
		bool wide = z->mode & (XMODE_64 | XMODE_32);                                       \
		bool rex_w = z->insn.attributes & ZYDIS_ATTRIB_HAS_REX && z->insn.raw.rex.W;       \
		d->size = rex_w || wide != prefix ? 4 : 2;                                         \
		return x_##name;                                                                   \
	}
BIND_ENV(fnstenv)
BIND_ENV(fldenv)
BIND_ENV(fnsave)
BIND_ENV(frstor)

static const struct xop ops[] = {
	{ ZYDIS_MNEMONIC_FNINIT, 0, bind_fninit },
	{ ZYDIS_MNEMONIC_FNCLEX, 0, bind_fnclex },
	{ ZYDIS_MNEMONIC_FLDCW, 0, bind_fldcw },
	{ ZYDIS_MNEMONIC_FNSTCW, 0, bind_fnstcw },
	{ ZYDIS_MNEMONIC_FNSTSW, 0, bind_fnstsw },
	{ ZYDIS_MNEMONIC_FNSTENV, 0, bind_fnstenv },
	{ ZYDIS_MNEMONIC_FLDENV, 0, bind_fldenv },
	{ ZYDIS_MNEMONIC_FNSAVE, 0, bind_fnsave },
	{ ZYDIS_MNEMONIC_FRSTOR, 0, bind_frstor },
	{ ZYDIS_MNEMONIC_FWAIT, 0, bind_fwait },
	{ ZYDIS_MNEMONIC_FNOP, 0, bind_fnop },
	{ ZYDIS_MNEMONIC_FENI8087_NOP, 0, bind_fnop_nowait },
	{ ZYDIS_MNEMONIC_FDISI8087_NOP, 0, bind_fnop_nowait },
	{ ZYDIS_MNEMONIC_FSETPM287_NOP, 0, bind_fnop_nowait },
	{ ZYDIS_MNEMONIC_FINCSTP, 0, bind_fincstp },
	{ ZYDIS_MNEMONIC_FDECSTP, 0, bind_fdecstp },
	{ ZYDIS_MNEMONIC_FFREE, 0, bind_ffree },
	{ ZYDIS_MNEMONIC_FFREEP, 0, bind_ffreep },
};
const struct xop_table xops_x87_ctl = { ops, RV_ARRAY_LEN(ops) };
