/* SPDX-License-Identifier: Apache-2.0 */
/* Segmentation and control transfer, shared by seg.c, far.c, fault.c and the ops_sys*.c. */
#ifndef RV_EXACT_SYS_H
#define RV_EXACT_SYS_H

#include "cpu/model.h"
#include "exact.h"

/* System descriptor types (SDM vol. 3, table 3-2). */
enum {
	SYS_TSS16 = 1, SYS_LDT = 2, SYS_TSS16_BUSY = 3, SYS_CALL16 = 4, SYS_TASK = 5,
	SYS_INT16 = 6, SYS_TRAP16 = 7, SYS_TSS32 = 9, SYS_TSS32_BUSY = 11, SYS_CALL32 = 12,
	SYS_INT32 = 14, SYS_TRAP32 = 15
};

/* A descriptor as it lies in memory. */
struct xdesc {
	uint64_t lin; /* its linear address */
	uint64_t raw; /* first 8 bytes */
};

static inline bool xlong_mode(const struct xcpu *c) /* IA-32e: 64-bit or compatibility mode */
{
	return c->s.efer & EFER_LMA;
}
static inline bool xreal_mode(const struct xcpu *c)
{
	return !(c->s.cr0 & CR0_PE);
}
static inline unsigned xiopl(const struct xcpu *c)
{
	return (unsigned)(c->s.rflags >> 12) & 3;
}
static inline void xneed_cpl0(struct xcpu *c)
{
	if (unlikely(xcpl(c) != 0))
		xraise_gp(c, 0);
}
static inline void xneed_protected(struct xcpu *c) /* LLDT, LAR and the like: #UD in real mode */
{
	if (unlikely(xreal_mode(c)))
		xraise_ud(c);
}
/* An address within a system segment: 32 bits outside IA-32e mode. */
static inline uint64_t xsys_linear(const struct xcpu *c, uint64_t lin)
{
	return xlong_mode(c) ? lin : (uint32_t)lin;
}
static inline uint64_t xmask_of(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;
}

static inline unsigned xdesc_type(const struct xdesc *d)
{
	return (unsigned)(d->raw >> 40) & 15;
}
static inline bool xdesc_is_segment(const struct xdesc *d) /* S: code or data */
{
	return d->raw >> 44 & 1;
}
static inline bool xdesc_is_code(const struct xdesc *d)
{
	return xdesc_is_segment(d) && (xdesc_type(d) & SEG_CODE);
}
static inline unsigned xdesc_dpl(const struct xdesc *d)
{
	return (unsigned)(d->raw >> 45) & 3;
}
static inline bool xdesc_present(const struct xdesc *d)
{
	return d->raw >> 47 & 1;
}
static inline bool xdesc_long(const struct xdesc *d)
{
	return d->raw >> 53 & 1;
}
static inline bool xdesc_db(const struct xdesc *d)
{
	return d->raw >> 54 & 1;
}

/* Reads a GDT or LDT entry; false if it lies outside its table. */
bool xdesc_read(struct xcpu *c, uint16_t sel, struct xdesc *d);
/* Upper half of a 16-byte descriptor of long mode; #GP(sel) when outside or not well formed. */
uint64_t xdesc_read_upper(struct xcpu *c, uint16_t sel, const struct xdesc *d);
uint32_t xdesc_limit(const struct xdesc *d);
void xdesc_unpack(const struct xdesc *d, uint16_t sel, struct cpu_seg *out);
void xdesc_set_accessed(struct xcpu *c, struct xdesc *d);

/* All checks of a load of ES, SS, DS, FS or GS; *out is what to put in place. Raises. */
void xseg_prepare(struct xcpu *c, unsigned seg, uint16_t sel, struct cpu_seg *out);
void xseg_set(struct xcpu *c, unsigned seg, const struct cpu_seg *s); /* and what follows from it */
void xseg_load(struct xcpu *c, unsigned seg, uint16_t sel);
/* SS for privilege `cpl`, from a TSS or an outer return frame: errors are `vector`(sel + ext), but
 * not present is #SS. */
void xseg_stack_prepare(struct xcpu *c, uint16_t sel, unsigned cpl, uint8_t vector, uint32_t ext,
			struct cpu_seg *out);
/* SS of 64-bit mode after a change of privilege: null, with that DPL. */
void xseg_null_stack(unsigned cpl, struct cpu_seg *out);
/* DS, ES, FS, GS that the outer privilege may not hold become null. */
void xseg_leave_inner(struct xcpu *c, unsigned cpl);

/* CS from a checked descriptor; xcs_check_offset(): #GP(err) when the target lies outside. */
void xcs_unpack(struct xcpu *c, struct xdesc *d, uint16_t sel, unsigned cpl, struct cpu_seg *out);
void xcs_check_offset(struct xcpu *c, const struct cpu_seg *cs, uint64_t offset, uint32_t err);
/* Installs CS; a caller that changes CPL has put SS in place before. */
void xcs_set(struct xcpu *c, const struct cpu_seg *cs);

/* A stack other than the current one, or the current one with nothing committed. */
struct xstack {
	uint64_t base, sp, mask; /* mask: of the stack pointer */
	uint32_t limit, err;     /* err: of the #SS that leaving the segment raises */
	bool user, flat, down, big;
};
void xstack_current(struct xcpu *c, struct xstack *k, uint32_t err);
void xstack_of(struct xcpu *c, const struct cpu_seg *ss, uint64_t sp, unsigned cpl, bool flat,
	       uint32_t err, struct xstack *k);
void xstack_push(struct xcpu *c, struct xstack *k, unsigned size, uint64_t v);
uint64_t xstack_pop(struct xcpu *c, struct xstack *k, unsigned size);
void xstack_commit(struct xcpu *c, const struct xstack *k); /* RSP, in the stack's width */

/* Stack for an inner privilege out of the current TSS (SDM vol. 3, 7.2.1, 7.7). Long mode: RSPn. */
void xtss_stack(struct xcpu *c, unsigned cpl, uint32_t ext, uint16_t *ss, uint64_t *sp);
uint64_t xtss_ist(struct xcpu *c, unsigned n, uint32_t ext);

/* far.c */
void xfar_jump(struct xcpu *c, uint16_t sel, uint64_t off, unsigned size);
void xfar_call(struct xcpu *c, uint16_t sel, uint64_t off, unsigned size);
void xfar_return(struct xcpu *c, unsigned size, unsigned extra);
void xfar_iret(struct xcpu *c, unsigned size);

/* fault.c: INT1 is delivered like INT n, without the DPL check. */
void xsoft_int1(struct xcpu *c);

#endif
