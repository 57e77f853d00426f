/* SPDX-License-Identifier: Apache-2.0 */
/* One mismatch, for a human. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/diff/diff.h"

static void print_state(const char *title, const struct diff_state *s)
{
	static const char *const name[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					   "r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15"};

	printf(" %s\n", title);
	for (unsigned i = 0; i < 16; i++)
		printf("  %s %016" PRIx64 "%s", name[i], s->gpr[i], i % 4 == 3 ? "\n" : "");
	printf("  rip %016" PRIx64 "  rflags %06" PRIx64 "  vector %x err %" PRIx64 " cr2 %" PRIx64
	       "\n",
	       s->rip, s->rflags, s->vector, s->err, s->cr2);
	printf("  fcw %04x fsw %04x ftw %02x mxcsr %08x\n", s->fcw, s->fsw, s->ftw, s->mxcsr);
	for (unsigned i = 0; i < 8; i++)
		printf("  st%u %04x:%016" PRIx64 "%s", i, s->st[i].sexp, s->st[i].mant,
		       i % 4 == 3 ? "\n" : "");
	for (unsigned i = 0; i < 16; i++)
		printf("  xmm%-2u %016" PRIx64 "_%016" PRIx64 "%s", i, s->xmm[i].hi, s->xmm[i].lo,
		       i % 2 == 1 ? "\n" : "");
}

static void print_memory(const struct diff_case *c, const char *title, const uint8_t *data)
{
	for (unsigned k = 0; k < c->nmem; k++) {
		uint64_t at = c->mem_addr[k];
		unsigned n = c->mem_size[k] < 32 ? c->mem_size[k] : 32;

		printf("  %s [%" PRIx64 "]:", title, at);
		for (unsigned i = 0; i < n; i++) {
			if (at + i - DIFF_DATA < DIFF_DATA_SIZE)
				printf(" %02x", data[at + i - DIFF_DATA]);
			else
				printf(" --");
		}
		printf("\n");
	}
}

void diff_report(const struct diff_case *c, const struct diff_state *host,
		 const struct diff_state *guest, const uint8_t *data_before,
		 const uint8_t *host_data, const uint8_t *guest_data, const char *differences)
{
	ZydisFormatter formatter;
	char line[128] = "?";

	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
	ZydisFormatterFormatInstruction(&formatter, &c->insn, c->ops, c->insn.operand_count_visible,
					line, sizeof(line), c->in.rip, NULL);
	printf("MISMATCH %s  bytes", line);
	for (unsigned i = 0; i < c->len; i++)
		printf(" %02x", c->bytes[i]);
	printf("\n%s", differences);
	print_state("inputs", &c->in);
	print_memory(c, "memory before", data_before);
	print_state("host", host);
	print_memory(c, "memory host", host_data);
	print_state("guest", guest);
	print_memory(c, "memory guest", guest_data);
	printf("\n");
}
