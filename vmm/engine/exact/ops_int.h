/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the integer bodies share: register access by size, flags from the
 * host's ALU, and the choice of a body by size and form.
 *
 * Flags the SDM leaves undefined have one answer here, whatever the host:
 *
 *   AND OR XOR TEST         AF 0
 *   SHL SHR SAR SHLD SHRD   AF 0; OF for counts above 1 as if the last of that many 1-bit shifts had
 *                           set it; CF for counts of at least the operand size: the last bit shifted
 *                           out (zero once the operand is gone). SHLD and SHRD of 16 bits by more than
 *                           16 shift the pattern dest:src:dest (SHRD: dest:src:dest from above)
 *   ROL ROR RCL RCR         OF for counts above 1 as above
 *   MUL IMUL                SF ZF AF PF 0
 *   DIV IDIV                all unchanged
 *   BSF BSR                 CF OF SF AF PF 0; destination unchanged when the source is 0
 *   BT BTS BTR BTC          OF SF AF PF unchanged
 *   DAA DAS                 OF 0
 *   AAA AAS                 OF SF ZF PF 0
 *   AAM AAD                 OF AF CF 0
 */
#ifndef RV_EXACT_OPS_INT_H
#define RV_EXACT_OPS_INT_H

#include "decode.h"

/* Register reads and writes by operand size; 32-bit writes zero-extend (SDM vol. 1, 3.4.1.1). */
#define RD8(i) XREG8(c, i)
#define RD16(i) XREG16(c, i)
#define RD32(i) XREG32(c, i)
#define RD64(i) (c->r[i])
#define WR8(i, v) (XREG8(c, i) = (v))
#define WR16(i, v) (XREG16(c, i) = (v))
#define WR32(i, v) (c->r[i] = (uint32_t)(v))
#define WR64(i, v) (c->r[i] = (v))
/* The accumulator and RDX by operand size; AL is byte offset 0, which is also RAX's index. */
#define ACC CPU_RAX

#define EA_READ(bits) xea(c, d, bits / 8, XACC_READ)
#define EA_WRITE(bits) xea(c, d, bits / 8, XACC_WRITE)
#define LOAD(bits) xmem_read##bits(c, d->seg, EA_READ(bits))
#define STORE(bits, v) xmem_write##bits(c, d->seg, EA_WRITE(bits), (v))
#define RMW(bits) xmem_rmw##bits(c, d->seg, EA_WRITE(bits))

#define XF_SZP (XF_SF | XF_ZF | XF_PF)

/* SF, ZF and PF of a result; the others come out 0. */
#define INT_SZP(bits)                                                                              \
	static inline uint32_t int_szp##bits(uint##bits##_t v)                                     \
	{                                                                                          \
		uint32_t f;                                                                        \
		__asm__("test %[v], %[v]\n\tlahf" : "=a"(f) : [v] "r"(v), "0"(0u) : "cc");         \
		return f & XF_SZP;                                                                 \
	}
INT_SZP(8)
INT_SZP(16)
INT_SZP(32)
INT_SZP(64)

/* Row of a [4][...] table of bodies. */
static inline unsigned int_row(unsigned size)
{
	return (unsigned)__builtin_ctz(size | 8);
}

#define INT_OP(name, fl) {ZYDIS_MNEMONIC_##name, (fl), bind_##name}

#endif
