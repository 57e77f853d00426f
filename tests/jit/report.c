/* SPDX-License-Identifier: Apache-2.0 */
/* A failed case for people: the program, the features, the differing fields, a vector to keep. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/jit/jit.h"

static uint64_t field_value(const struct state_field *f, const void *obj, uint32_t i)
{
	uint64_t v = 0;

	memcpy(&v, (const uint8_t *)obj + f->offset + i * f->stride, f->size);
	return v;
}

size_t jit_report_states(const struct cpu_state *a, const struct cpu_state *b, char *text,
			 size_t size)
{
	static const char *const gpr[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					  "r8",	 "r9",	"r10", "r11", "r12", "r13", "r14", "r15"};
	size_t used = 0;

	text[0] = 0;
	for (size_t k = 0; k < cpu_state_desc.nfields; k++) {
		const struct state_field *f = &cpu_state_desc.fields[k];

		for (uint32_t i = 0; i < f->count && used + 128 < size; i++) {
			uint64_t x = field_value(f, a, i), y = field_value(f, b, i);
			char name[40];

			if (x == y)
				continue;
			if (f->offset == 0)
				snprintf(name, sizeof(name), "%s", gpr[i & 15]);
			else if (f->count > 1)
				snprintf(name, sizeof(name), "%s[%u]", f->name, i);
			else
				snprintf(name, sizeof(name), "%s", f->name);
			used += (size_t)snprintf(text + used, size - used,
						 "  %s %#lx, translated %#lx\n", name, x, y);
		}
	}
	return used;
}

void jit_report_case(const struct jit_case *c)
{
	static const struct {
		uint32_t bit;
		const char *text;
	} feature[] = {
#define FEATURE_TEXT(name, bit, text) {name, text},
	    JIT_FEATURES(FEATURE_TEXT)
#undef FEATURE_TEXT
	};
	uint8_t code[JIT_MAX_CODE];
	uint16_t start[JIT_MAX_ITEMS + 1];
	unsigned len = jit_case_assemble(c, code, start), at = 0;
	ZydisDisassembledInstruction z;

	printf("seed %lu case %lu, %u runs:", c->seed, c->number, c->runs);
	for (unsigned i = 0; i < RV_ARRAY_LEN(feature); i++)
		if (c->features & feature[i].bit)
			printf(" [%s]", feature[i].text);
	printf("\n");
	while (at < len) {
		uint64_t lin = JIT_CODE + c->at + at;
		unsigned n = 1;

		if (ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, lin, code + at,
						       len - at, &z)))
			n = z.info.length;
		else
			snprintf(z.text, sizeof(z.text), "(bad)");
		printf("  %lx: ", lin);
		for (unsigned i = 0; i < 15; i++)
			printf(i < n ? "%02x" : "  ", i < n ? code[at + i] : 0);
		printf(" %s\n", z.text);
		at += n;
	}
}

void jit_report_vector(const struct jit_case *c)
{
	uint8_t code[JIT_MAX_CODE];
	uint16_t start[JIT_MAX_ITEMS + 1];
	unsigned len = jit_case_assemble(c, code, start) - 1; /* a vector's HLT is implied */

	printf("\tF(%#lxull, %lu, %#x, %u, %#x,\n\t  ", c->seed, c->number, c->features, c->runs,
	       c->at);
	for (unsigned i = 0; i < len; i++) {
		printf("0x%02x%s", code[i], i + 1 < len ? "," : "");
		if (i + 1 < len)
			printf(i % 14 == 13 ? "\n\t  " : " ");
	}
	printf(")\n");
}

void jit_report_ends(const struct jit_counts *before, const struct jit_counts *now)
{
	printf("%lu runs: %lu to the end of their budget, %lu halted or shut down, vectors",
	       now->runs - before->runs, now->budget - before->budget, now->other - before->other);
	for (unsigned i = 0; i < 256; i++)
		if (now->vector[i] != before->vector[i])
			printf(" %u:%lu", i, now->vector[i] - before->vector[i]);
	printf("\n");
}
