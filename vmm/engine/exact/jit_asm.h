/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host instructions, written one after another. An instruction is named by an
 * encoding word (prefix, map, opcode, widths) and its operands; the caller
 * has seen to it that there is room.
 */
#ifndef RV_EXACT_JIT_ASM_H
#define RV_EXACT_JIT_ASM_H

#include <string.h>

#include "base/types.h"

enum {
	H_RAX, H_RCX, H_RDX, H_RBX, H_RSP, H_RBP, H_RSI, H_RDI,
	H_R8, H_R9, H_R10, H_R11, H_R12, H_R13, H_R14, H_R15
};

/* Encoding word: opcode in bits 0-7, map (0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A) in 8-9, mandatory or
 * size prefix in 16-23, and: */
#define A_W 0x400u    /* REX.W */
#define A_BYTE 0x800u /* 8-bit registers: SPL..DIL, never AH..BH */
#define A_MAP(m) ((uint32_t)(m) << 8)
#define A_PFX(p) ((uint32_t)(p) << 16)

#define A_MOV_LOAD (0x8bu | A_W)
#define A_MOV_STORE (0x89u | A_W)
#define A_LEA (0x8du | A_W)

struct xasm {
	uint8_t *p;
};

struct xmem { /* [base + index << scale + disp]; index < 0: none */
	int8_t base, index;
	uint8_t scale;
	int32_t disp;
};

static inline struct xmem a_at(int base, int64_t disp)
{
	return (struct xmem){ .base = (int8_t)base, .index = -1, .disp = (int32_t)disp };
}

static inline void a8(struct xasm *a, unsigned v)
{
	*a->p++ = (uint8_t)v;
}

static inline void a32(struct xasm *a, uint32_t v)
{
	memcpy(a->p, &v, 4);
	a->p += 4;
}

static inline void a64(struct xasm *a, uint64_t v)
{
	memcpy(a->p, &v, 8);
	a->p += 8;
}

static inline void a_head(struct xasm *a, uint32_t enc, unsigned reg, unsigned index, unsigned rm)
{
	unsigned rex = (enc & A_W ? 8u : 0) | (reg >> 3) << 2 | (index >> 3) << 1 | rm >> 3;
	if (enc >> 16)
		a8(a, enc >> 16);
	if (rex || (enc & A_BYTE))
		a8(a, 0x40 | rex);
	switch (enc >> 8 & 3) {
	case 3:
		a8(a, 0x0f);
		a8(a, 0x3a);
		break;
	case 2:
		a8(a, 0x0f);
		a8(a, 0x38);
		break;
	case 1:
		a8(a, 0x0f);
		break;
	default:
		break;
	}
	a8(a, enc & 0xff);
}

/* reg: a register, or the opcode's extension (/digit). */
static inline void a_rr(struct xasm *a, uint32_t enc, unsigned reg, unsigned rm)
{
	a_head(a, enc, reg, 0, rm);
	a8(a, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void a_rm(struct xasm *a, uint32_t enc, unsigned reg, struct xmem m)
{
	const unsigned base = (unsigned)m.base;
	const unsigned index = m.index < 0 ? 4 : (unsigned)m.index;
	const unsigned mod = m.disp == 0 && (base & 7) != 5 ? 0u : m.disp == (int8_t)m.disp ? 1u : 2u;
	a_head(a, enc, reg, m.index < 0 ? 0 : index, base);
	if (m.index >= 0 || (base & 7) == 4) {
		a8(a, mod << 6 | (reg & 7) << 3 | 4);
		a8(a, (unsigned)m.scale << 6 | (index & 7) << 3 | (base & 7));
	} else {
		a8(a, mod << 6 | (reg & 7) << 3 | (base & 7));
	}
	if (mod == 1)
		a8(a, (uint8_t)m.disp);
	else if (mod == 2)
		a32(a, (uint32_t)m.disp);
}

/* 80/81/83 /op with an immediate; enc: 0 or A_W. */
enum { A_ADD, A_OR, A_ADC, A_SBB, A_AND, A_SUB, A_XOR, A_CMP };
static inline void a_alu_ri(struct xasm *a, uint32_t w, unsigned op, unsigned rm, int32_t imm)
{
	if (imm == (int8_t)imm) {
		a_rr(a, 0x83u | w, op, rm);
		a8(a, (uint8_t)imm);
	} else {
		a_rr(a, 0x81u | w, op, rm);
		a32(a, (uint32_t)imm);
	}
}

static inline void a_alu_mi(struct xasm *a, uint32_t w, unsigned op, struct xmem m, int32_t imm)
{
	if (imm == (int8_t)imm) {
		a_rm(a, 0x83u | w, op, m);
		a8(a, (uint8_t)imm);
	} else {
		a_rm(a, 0x81u | w, op, m);
		a32(a, (uint32_t)imm);
	}
}

static inline void a_mov_rr(struct xasm *a, unsigned dst, unsigned src)
{
	a_rr(a, A_MOV_LOAD, dst, src);
}

/* The shortest form that gives all 64 bits. */
static inline void a_mov_ri(struct xasm *a, unsigned dst, uint64_t v)
{
	if (v == (uint32_t)v) {
		if (dst >> 3)
			a8(a, 0x41);
		a8(a, 0xb8 | (dst & 7));
		a32(a, (uint32_t)v);
	} else if ((int64_t)v == (int32_t)v) {
		a_rr(a, 0xc7u | A_W, 0, dst);
		a32(a, (uint32_t)v);
	} else {
		a8(a, 0x48 | dst >> 3);
		a8(a, 0xb8 | (dst & 7));
		a64(a, v);
	}
}

/* Jumps with a 32-bit displacement to be filled in: they return where it stands. */
static inline uint8_t *a_jmp(struct xasm *a)
{
	a8(a, 0xe9);
	a32(a, 0);
	return a->p - 4;
}

static inline uint8_t *a_jcc(struct xasm *a, unsigned cc)
{
	a8(a, 0x0f);
	a8(a, 0x80 | cc);
	a32(a, 0);
	return a->p - 4;
}

static inline uint8_t *a_call(struct xasm *a)
{
	a8(a, 0xe8);
	a32(a, 0);
	return a->p - 4;
}

/* at: what a_jmp(), a_jcc() or a_call() returned; both in the writable mapping. */
static inline void a_patch(uint8_t *at, const uint8_t *target)
{
	int32_t rel = (int32_t)(target - (at + 4));
	memcpy(at, &rel, 4);
}

enum { CC_O, CC_NO, CC_B, CC_NB, CC_Z, CC_NZ, CC_BE, CC_NBE, CC_S, CC_NS };

#endif
