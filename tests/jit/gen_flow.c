/* SPDX-License-Identifier: Apache-2.0 */
/* Control flow of random programs, stores into their own code, and what places the items. */
#include <string.h>

#include "tests/jit/gen.h"

static struct jit_item *add(struct jit_case *c, const char *bytes, unsigned len)
{
	struct jit_item *it = &c->item[c->n++];

	memset(it, 0, sizeof(*it));
	memcpy(it->bytes, bytes, len);
	it->len = (uint8_t)len;
	return it;
}

/* The last `bits / 8` bytes become a reference to an item. */
static void refer(struct jit_item *it, enum jit_fix fix, unsigned target)
{
	it->fix = (uint8_t)fix;
	it->fix_at = (uint8_t)(it->len - (fix == JIT_FIX_REL8 ? 1u : 4u));
	it->target = (uint8_t)target;
}

/* A target for a branch that will be item number c->n; near enough for 8 bits if asked for. */
static unsigned pick_target(struct diff_rng *r, const struct jit_case *c, unsigned want, bool near)
{
	unsigned from = c->n, lo = 0, hi = want;

	if (near) {
		lo = from > 6 ? from - 6 : 0;
		hi = from + 6 < want ? from + 6 : want;
	}
	if (diff_rng_chance(r, 65) && from + 1 <= hi) /* forward: programs should end */
		lo = from + 1;
	return lo + diff_rng_below(r, hi - lo + 1);
}

static void add_jcc(struct diff_rng *r, struct jit_case *c, unsigned want)
{
	bool near = diff_rng_chance(r, 60);
	unsigned target = pick_target(r, c, want, near);
	uint8_t cc = (uint8_t)diff_rng_below(r, 16);
	struct jit_item *it;

	if (near) {
		it = add(c, "\x70\0", 2);
		it->bytes[0] |= cc;
		refer(it, JIT_FIX_REL8, target);
	} else {
		it = add(c, "\x0f\x80\0\0\0\0", 6);
		it->bytes[1] |= cc;
		refer(it, JIT_FIX_REL32, target);
	}
	if (diff_rng_chance(r, 4))
		it->target_byte = (uint8_t)(1 + diff_rng_below(r, 3));
}

static void add_jump(struct diff_rng *r, struct jit_case *c, unsigned want)
{
	switch (diff_rng_below(r, 6)) {
	case 0: {
		unsigned target = pick_target(r, c, want, true);

		refer(add(c, "\xeb\0", 2), JIT_FIX_REL8, target);
		break;
	}
	case 1: /* jrcxz, loopne, loope, loop */
	case 2: {
		unsigned target = pick_target(r, c, want, true);
		struct jit_item *it = add(c, "\xe0\0", 2);

		it->bytes[0] |= (uint8_t)diff_rng_below(r, 4);
		refer(it, JIT_FIX_REL8, target);
		break;
	}
	case 3: {
		unsigned target = pick_target(r, c, want, false);

		refer(add(c, "\xe9\0\0\0\0", 5), JIT_FIX_REL32, target);
		break;
	}
	default: { /* mov eax, item; jmp rax */
		unsigned target = pick_target(r, c, want, false);

		refer(add(c, "\xb8\0\0\0\0", 5), JIT_FIX_IMM32, target);
		add(c, "\xff\xe0", 2);
		break;
	}
	}
}

static void add_call(struct diff_rng *r, struct jit_case *c, unsigned want)
{
	unsigned target = pick_target(r, c, want, false);

	switch (diff_rng_below(r, 4)) {
	case 0:
		refer(add(c, "\xe8\0\0\0\0", 5), JIT_FIX_REL32, target);
		break;
	case 1: /* push item; ret */
		refer(add(c, "\x68\0\0\0\0", 5), JIT_FIX_IMM32, target);
		add(c, "\xc3", 1);
		break;
	case 2: /* call over a jump to a return: call +2; jmp +1; ret */
		add(c, "\xe8\x02\0\0\0", 5);
		add(c, "\xeb\x01", 2);
		add(c, "\xc3", 1);
		break;
	default:
		refer(add(c, "\xb8\0\0\0\0", 5), JIT_FIX_IMM32, target);
		add(c, "\xff\xd0", 2);
		break;
	}
}

/* Into an immediate, displacement or opcode of this program, often of the very next instruction. */
static void add_code_store(struct diff_rng *r, struct jit_case *c, unsigned want)
{
	unsigned target = diff_rng_chance(r, 40) ? c->n + 1 : pick_target(r, c, want, false);
	struct jit_item *it;

	switch (diff_rng_below(r, 4)) {
	case 0: /* inc byte [rip + x] */
		it = add(c, "\xfe\x05\0\0\0\0", 6);
		it->fix_at = 2;
		break;
	case 1: /* mov [rip + x], al */
		it = add(c, "\x88\x05\0\0\0\0", 6);
		it->fix_at = 2;
		break;
	case 2: /* mov byte [rip + x], 0x90 */
		it = add(c, "\xc6\x05\0\0\0\0\x90", 7);
		it->fix_at = 2;
		break;
	default: /* mov [rip + x], edx */
		it = add(c, "\x89\x15\0\0\0\0", 6);
		it->fix_at = 2;
		break;
	}
	it->fix = JIT_FIX_ITEM;
	it->target = (uint8_t)(target > want ? want : target);
	it->target_byte = (uint8_t)diff_rng_below(r, 5);
}

/* add or sub a pointer: accesses walk over page ends while the block is hot. */
static void add_stride(struct diff_rng *r, struct jit_case *c)
{
	static const int step[] = {1, 8, 16, 0x3f8, 0x400, 0x1000, 0xff0, 0x78};
	static const uint8_t modrm[] = {0xc3, 0xc5, 0xc6, 0xc7}; /* rbx, rbp, rsi, rdi */
	struct jit_item *it = add(c, "\x48\x81\xc3\0\0\0\0", 7);
	int v = step[diff_rng_below(r, RV_ARRAY_LEN(step))];

	it->bytes[2] = modrm[diff_rng_below(r, 4)];
	if (diff_rng_chance(r, 30))
		it->bytes[2] |= 5 << 3; /* sub */
	memcpy(it->bytes + 3, &v, 4);
}

void jit_gen_construct(struct diff_rng *r, struct jit_case *c, unsigned want)
{
	unsigned kind = diff_rng_below(r, 100);

	if (kind < 42) {
		add_jcc(r, c, want);
	} else if (kind < 57) {
		add_jump(r, c, want);
	} else if (kind < 70) {
		add_call(r, c, want);
	} else if (kind < 78) { /* a counted loop of its own */
		unsigned target = c->n > 5 ? c->n - 5 : 0;

		add(c, "\x41\xff\xcf", 3); /* dec r15d */
		target += diff_rng_below(r, c->n - target);
		refer(add(c, "\x75\0", 2), JIT_FIX_REL8, target);
	} else if (kind < 84) {
		add_code_store(r, c, want);
	} else if (kind < 94) {
		add_stride(r, c);
	} else { /* pushfq ... popfq and what they carry; sti, cli, mov ss: shadows */
		static const char one[][4] = {"\x9c", "\x9d", "\xfb", "\xfa", "\xfc", "\xfd"};

		add(c, one[diff_rng_below(r, RV_ARRAY_LEN(one))], 1);
	}
}

void jit_gen_loop(struct jit_case *c)
{
	add(c, "\x41\xff\xcf", 3); /* dec r15d; jnz start */
	refer(add(c, "\x0f\x85\0\0\0\0", 6), JIT_FIX_REL32, 0);
}

void jit_gen_again(struct jit_case *c)
{
	refer(add(c, "\xe9\0\0\0\0", 5), JIT_FIX_REL32, 0);
}

/* ---- placing ---- */

unsigned jit_case_assemble(const struct jit_case *c, uint8_t out[JIT_MAX_CODE],
			   uint16_t start[JIT_MAX_ITEMS + 1])
{
	const uint64_t base = JIT_CODE + c->at;
	unsigned len = 0;

	if (c->raw) {
		memcpy(out, c->raw, c->raw_len);
		out[c->raw_len] = 0xf4;
		start[0] = 0;
		return c->raw_len + 1;
	}
	for (unsigned i = 0; i < c->n; i++) {
		start[i] = (uint16_t)len;
		len += c->item[i].len;
	}
	start[c->n] = (uint16_t)len;
	for (unsigned i = 0; i < c->n; i++) {
		const struct jit_item *it = &c->item[i];
		uint8_t *p = out + start[i];
		uint64_t next = base + start[i] + it->len;
		uint64_t to = base + start[it->target > c->n ? c->n : it->target] + it->target_byte;
		int32_t rel = (int32_t)(uint32_t)(to - next);

		memcpy(p, it->bytes, it->len);
		switch (it->fix) {
		case JIT_FIX_REL8:
			p[it->fix_at] = (uint8_t)rel;
			break;
		case JIT_FIX_REL32:
		case JIT_FIX_ITEM:
			memcpy(p + it->fix_at, &rel, 4);
			break;
		case JIT_FIX_RIP:
			rel = (int32_t)(uint32_t)(it->addr - next);
			memcpy(p + it->fix_at, &rel, 4);
			break;
		case JIT_FIX_IMM32:
			memcpy(p + it->fix_at, &(uint32_t){(uint32_t)to}, 4);
			break;
		default:
			break;
		}
	}
	out[len++] = 0xf4;
	return len;
}

void jit_case_drop(struct jit_case *c, unsigned k)
{
	memmove(&c->item[k], &c->item[k + 1], (c->n - k - 1) * sizeof(c->item[0]));
	c->n--;
	for (unsigned i = 0; i < c->n; i++)
		if (c->item[i].target > k)
			c->item[i].target--;
}
