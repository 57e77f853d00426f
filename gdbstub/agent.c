/* SPDX-License-Identifier: Apache-2.0 */
/* GDB manual, F.2 "Bytecode Descriptions". Operands are big-endian, values are 64 bits wide. */
#include "agent.h"

#include <string.h>

#include "base/bytes.h"
#include "base/status.h"

enum agent_op {
	AX_ADD = 0x02,
	AX_SUB,
	AX_MUL,
	AX_DIV_SIGNED,
	AX_DIV_UNSIGNED,
	AX_REM_SIGNED,
	AX_REM_UNSIGNED,
	AX_LSH,
	AX_RSH_SIGNED,
	AX_RSH_UNSIGNED,
	AX_LOG_NOT = 0x0e,
	AX_BIT_AND,
	AX_BIT_OR,
	AX_BIT_XOR,
	AX_BIT_NOT,
	AX_EQUAL,
	AX_LESS_SIGNED,
	AX_LESS_UNSIGNED,
	AX_EXT,
	AX_REF8,
	AX_REF16,
	AX_REF32,
	AX_REF64,
	AX_IF_GOTO = 0x20,
	AX_GOTO,
	AX_CONST8,
	AX_CONST16,
	AX_CONST32,
	AX_CONST64,
	AX_REG,
	AX_END,
	AX_DUP,
	AX_POP,
	AX_ZERO_EXT,
	AX_SWAP,
	AX_PICK = 0x32,
	AX_ROT,
	AX_LAST = 0x34
};

#define AX_BAD 0xffu   /* no such opcode */
#define AX_OTHER                                                                                   \
	0xfeu /* trace collection, trace variables, floats, printf: no meaning in a condition */

/* Per opcode: bytes of operand, values needed on the stack, values left in their place. */
struct agent_form {
	uint8_t operand, pops, pushes;
};

static const struct agent_form agent_forms[AX_LAST + 1] = {
	[0x00] = { AX_BAD, 0, 0 },
	[0x01] = { AX_OTHER, 0, 0 }, /* float */
	[AX_ADD ... AX_RSH_UNSIGNED] = { 0, 2, 1 },
	[0x0c ... 0x0d] = { AX_OTHER, 0, 0 }, /* trace, trace_quick */
	[AX_LOG_NOT] = { 0, 1, 1 },
	[AX_BIT_AND ... AX_BIT_XOR] = { 0, 2, 1 },
	[AX_BIT_NOT] = { 0, 1, 1 },
	[AX_EQUAL ... AX_LESS_UNSIGNED] = { 0, 2, 1 },
	[AX_EXT] = { 1, 1, 1 },
	[AX_REF8 ... AX_REF64] = { 0, 1, 1 },
	[0x1b ... 0x1f] = { AX_OTHER, 0, 0 }, /* ref_float ... d_to_l */
	[AX_IF_GOTO] = { 2, 1, 0 },
	[AX_GOTO] = { 2, 0, 0 },
	[AX_CONST8] = { 1, 0, 1 },
	[AX_CONST16] = { 2, 0, 1 },
	[AX_CONST32] = { 4, 0, 1 },
	[AX_CONST64] = { 8, 0, 1 },
	[AX_REG] = { 2, 0, 1 },
	[AX_END] = { 0, 1, 0 },
	[AX_DUP] = { 0, 1, 2 },
	[AX_POP] = { 0, 1, 0 },
	[AX_ZERO_EXT] = { 1, 1, 1 },
	[AX_SWAP] = { 0, 2, 2 },
	[0x2c ... 0x30] = { AX_OTHER, 0, 0 }, /* getv, setv, tracev, tracenz, trace16 */
	[0x31] = { AX_BAD, 0, 0 },
	[AX_PICK] = { 1, 0, 1 },
	[AX_ROT] = { 0, 3, 3 },
	[0x34] = { AX_OTHER, 0, 0 }, /* printf */
};

/* Big-endian; n is 0, 1, 2, 4 or 8. */
static uint64_t agent_operand(const uint8_t *p, size_t n)
{
	switch (n) {
	case 0:
		return 0;
	case 1:
		return p[0];
	case 2:
		return __builtin_bswap16(le16_get(p));
	case 4:
		return __builtin_bswap32(le32_get(p));
	default:
		return __builtin_bswap64(le64_get(p));
	}
}

static bool agent_starts_get(const uint8_t *starts, size_t at)
{
	return ((unsigned)starts[at / 8] >> at % 8 & 1u) != 0;
}

int agent_check(const uint8_t *code, size_t len)
{
	uint8_t starts[(AGENT_CODE_MAX + 8) /
		       8]; /* a bit for each offset where an instruction starts */
	size_t at;

	if (len == 0 || len > AGENT_CODE_MAX)
		return RV_EINVAL;
	memset(starts, 0, sizeof(starts));
	for (at = 0; at < len; at += 1u + agent_forms[code[at]].operand) {
		uint8_t operand = code[at] > AX_LAST ? AX_BAD : agent_forms[code[at]].operand;
		if (operand == AX_OTHER)
			return RV_ENOTSUP;
		if (operand == AX_BAD || operand > len - at - 1)
			return RV_EINVAL;
		if ((code[at] == AX_EXT || code[at] == AX_ZERO_EXT) && code[at + 1] > 64)
			return RV_EINVAL;
		starts[at / 8] = (uint8_t)(starts[at / 8] | 1u << at % 8);
	}
	for (at = 0; at < len; at += 1u + agent_forms[code[at]].operand) {
		if (code[at] == AX_GOTO || code[at] == AX_IF_GOTO) {
			size_t to = (size_t)agent_operand(code + at + 1, 2);
			if (to >= len || !agent_starts_get(starts, to))
				return RV_EINVAL;
		}
	}
	return RV_OK;
}

/* F.2 leaves shifts by 64 and more open: here they shift everything out. */
static uint64_t agent_shift(enum agent_op op, uint64_t a, uint64_t by)
{
	switch (op) {
	case AX_LSH:
		return by > 63 ? 0 : a << by;
	case AX_RSH_UNSIGNED:
		return by > 63 ? 0 : a >> by;
	default:
		return (uint64_t)((int64_t)a >> (by > 63 ? 63 : by));
	}
}

/* False: a division that has no result. */
static bool agent_divide(enum agent_op op, uint64_t a, uint64_t b, uint64_t *out)
{
	bool rem = op == AX_REM_SIGNED || op == AX_REM_UNSIGNED;

	if (b == 0)
		return false;
	if (op == AX_DIV_UNSIGNED || op == AX_REM_UNSIGNED)
		*out = rem ? a % b : a / b;
	else if (b == UINT64_MAX) /* the host's IDIV faults on INT64_MIN / -1 */
		*out = rem ? 0 : 0 - a;
	else
		*out = (uint64_t)(rem ? (int64_t)a % (int64_t)b : (int64_t)a / (int64_t)b);
	return true;
}

static bool agent_binary(enum agent_op op, uint64_t a, uint64_t b, uint64_t *out)
{
	switch (op) {
	case AX_ADD:
		*out = a + b;
		return true;
	case AX_SUB:
		*out = a - b;
		return true;
	case AX_MUL:
		*out = a * b;
		return true;
	case AX_DIV_SIGNED:
	case AX_DIV_UNSIGNED:
	case AX_REM_SIGNED:
	case AX_REM_UNSIGNED:
		return agent_divide(op, a, b, out);
	case AX_LSH:
	case AX_RSH_SIGNED:
	case AX_RSH_UNSIGNED:
		*out = agent_shift(op, a, b);
		return true;
	case AX_BIT_AND:
		*out = a & b;
		return true;
	case AX_BIT_OR:
		*out = a | b;
		return true;
	case AX_BIT_XOR:
		*out = a ^ b;
		return true;
	case AX_EQUAL:
		*out = a == b;
		return true;
	case AX_LESS_SIGNED:
		*out = (int64_t)a < (int64_t)b;
		return true;
	case AX_LESS_UNSIGNED:
		*out = a < b;
		return true;
	default:
		return false;
	}
}

static uint64_t agent_extend(uint64_t v, unsigned bits, bool sign)
{
	if (bits == 0)
		return 0;
	if (bits >= 64)
		return v;
	v <<= 64 - bits;
	return sign ? (uint64_t)((int64_t)v >> (64 - bits)) : v >> (64 - bits);
}

static bool agent_ref(const struct agent_env *env, enum agent_op op, uint64_t *top)
{
	size_t n = (size_t)1 << (op - AX_REF8);
	uint8_t buf[8] = { 0 };

	if (!env->mem(env->ctx, *top, buf, n))
		return false;
	*top = le64_get(buf);
	return true;
}

int agent_run(const uint8_t *code, size_t len, const struct agent_env *env, uint64_t *value)
{
	uint64_t stack[AGENT_STACK_MAX], t;
	size_t at = 0, sp = 0; /* stack[sp - 1] is the top */

	for (unsigned steps = 0; steps < AGENT_STEPS_MAX && at < len; steps++) {
		enum agent_op op = (enum agent_op)code[at];
		struct agent_form form;
		uint64_t operand;

		if (op > AX_LAST)
			return RV_EINVAL;
		form = agent_forms[op];
		if (form.operand > 8 || form.operand > len - at - 1 || sp < form.pops ||
			sp - form.pops + form.pushes > AGENT_STACK_MAX)
			return RV_EINVAL;
		operand = agent_operand(code + at + 1, form.operand);
		at += 1u + form.operand;
		switch (op) {
		case AX_LOG_NOT:
			stack[sp - 1] = !stack[sp - 1];
			break;
		case AX_BIT_NOT:
			stack[sp - 1] = ~stack[sp - 1];
			break;
		case AX_EXT:
		case AX_ZERO_EXT:
			stack[sp - 1] =
				agent_extend(stack[sp - 1], (unsigned)operand, op == AX_EXT);
			break;
		case AX_REF8:
		case AX_REF16:
		case AX_REF32:
		case AX_REF64:
			if (!agent_ref(env, op, &stack[sp - 1]))
				return RV_EINVAL;
			break;
		case AX_IF_GOTO:
			if (stack[--sp])
				at = (size_t)operand;
			break;
		case AX_GOTO:
			at = (size_t)operand;
			break;
		case AX_CONST8:
		case AX_CONST16:
		case AX_CONST32:
		case AX_CONST64:
			stack[sp++] = operand;
			break;
		case AX_REG:
			if (!env->reg(env->ctx, (unsigned)operand, &stack[sp]))
				return RV_EINVAL;
			sp++;
			break;
		case AX_END:
			*value = stack[sp - 1];
			return RV_OK;
		case AX_DUP:
			stack[sp] = stack[sp - 1];
			sp++;
			break;
		case AX_POP:
			sp--;
			break;
		case AX_SWAP:
			t = stack[sp - 1];
			stack[sp - 1] = stack[sp - 2];
			stack[sp - 2] = t;
			break;
		case AX_PICK: /* 0 is the top */
			if (operand >= sp)
				return RV_EINVAL;
			stack[sp] = stack[sp - 1 - (size_t)operand];
			sp++;
			break;
		case AX_ROT: /* a b c => c a b */
			t = stack[sp - 1];
			stack[sp - 1] = stack[sp - 2];
			stack[sp - 2] = stack[sp - 3];
			stack[sp - 3] = t;
			break;
		default:
			sp--;
			if (!agent_binary(op, stack[sp - 1], stack[sp], &stack[sp - 1]))
				return RV_EINVAL;
			break;
		}
	}
	return RV_EINVAL;
}
