/* SPDX-License-Identifier: Apache-2.0 */
/* A machine as a debugger looks at it, the same live and in a replay. */
#include <stdio.h>

#include "replay/replay_target.h"

/* Where a linear or physical address is in RAM; *n gets the bytes up to the end of its page. */
static int debug_locate(struct machine *m, unsigned cpu, bool phys, uint64_t addr, gpa_t *gpa, size_t *n)
{
	int rc;
	*gpa = addr;
	*n = RV_PAGE_SIZE - (size_t)(addr % RV_PAGE_SIZE);
	if (!phys && (rc = machine_translate(m, cpu, addr, gpa)) != RV_OK)
		return rc;
	return mem_page_of(machine_mem(m), *gpa) == MEM_NO_PAGE ? RV_ENOENT : RV_OK;
}

int debug_mem_each(struct machine *m, unsigned cpu, bool phys, uint64_t addr, size_t len,
		   int (*fn)(void *ctx, gpa_t gpa, size_t offset, size_t len), void *ctx)
{
	gpa_t gpa;
	size_t n;
	int rc;

	if (len && addr + (len - 1) < addr)
		return RV_ENOENT;
	for (size_t done = 0; done < len; done += n)
		if ((rc = debug_locate(m, cpu, phys, addr + done, &gpa, &n)) != RV_OK)
			return rc;
	for (size_t done = 0; done < len; done += n) {
		rc = debug_locate(m, cpu, phys, addr + done, &gpa, &n);
		if (rc != RV_OK)
			return rc;
		if (n > len - done)
			n = len - done;
		if ((rc = fn(ctx, gpa, done, n)) != RV_OK)
			return rc;
	}
	return RV_OK;
}

struct reading {
	struct guest_mem *mem;
	uint8_t *out;
};

static int read_piece(void *ctx, gpa_t gpa, size_t offset, size_t len)
{
	struct reading *r = ctx;
	mem_read(r->mem, gpa, r->out + offset, len);
	return RV_OK;
}

int debug_mem_read(struct machine *m, unsigned cpu, bool phys, uint64_t addr, void *out, size_t len)
{
	struct reading r = { machine_mem(m), out };
	return debug_mem_each(m, cpu, phys, addr, len, read_piece, &r);
}

void debug_thread_info(struct machine *m, unsigned cpu, char *out, size_t len)
{
	static const char *const activity[] = { "running", "halted", "waiting for SIPI", "shut down" };
	struct cpu_state s;
	const char *mode = "64-bit";

	machine_cpu_state(m, cpu, &s);
	if (!(s.cr0 & CR0_PE))
		mode = "real mode";
	else if (!(s.efer & EFER_LMA))
		mode = "32-bit";
	else if (!(s.seg[CPU_CS].attr & SEG_L))
		mode = "compatibility";
	snprintf(out, len, "%s, %s, ring %u, CR3 %#llx", s.activity < 4 ? activity[s.activity] : "?", mode,
		 cpu_state_cpl(&s), (unsigned long long)s.cr3);
}
