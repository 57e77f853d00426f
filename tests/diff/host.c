/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instruction on the host's own CPU. host_enter() loads every register
 * and leaves through IRETQ with TF set; the single-step trap, or the fault,
 * arrives as a signal whose frame holds the complete state; the handler copies
 * it out and returns to host_leave. TF stops a REP instruction after each
 * iteration (SDM vol. 3, 18.3.1.4), which is what one icount is.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/status.h"
#include "tests/diff/diff.h"

#define HOST_STACK_SIZE (256u << 10) /* the frame holds AVX-512 and AMX state where present */

struct fxsave_image { /* SDM vol. 1, table 10-2, 64-bit layout */
	uint16_t fcw, fsw;
	uint8_t ftw, reserved0;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	struct {
		uint8_t bytes[16];
	} st[8];
	struct cpu_xmm xmm[16];
	uint8_t reserved1[96];
};
_Static_assert(sizeof(struct fxsave_image) == 512, "FXSAVE image");

/* Offsets are known to the assembly below. */
struct host_frame {
	_Alignas(64) struct fxsave_image fx; /* 0 */
	uint64_t gpr[16];		     /* 512 */
	uint64_t rip, cs, rflags, rsp, ss;   /* 640: what IRETQ pops */
	uint64_t saved_rsp;		     /* 680 */
};
_Static_assert(offsetof(struct host_frame, gpr) == 512, "host_enter");
_Static_assert(offsetof(struct host_frame, rip) == 640, "host_enter");
_Static_assert(offsetof(struct host_frame, saved_rsp) == 680, "host_enter");

void host_enter(struct host_frame *f);
void host_leave(void);

/* RSP points at the IRETQ frame inside struct host_frame; TF takes effect after the instruction
 * that follows IRETQ. The registers are loaded with RSP as the pointer. */
/* clang-format off */
__asm__(".text\n"
	".globl host_enter\n"
	".type host_enter,@function\n"
	"host_enter:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n"
	"	push %r13\n	push %r14\n	push %r15\n"
	"	mov %rsp, 680(%rdi)\n"
	"	fxrstor64 (%rdi)\n"
	"	lea 640(%rdi), %rsp\n"
	"	mov -128(%rsp), %rax\n"
	"	mov -120(%rsp), %rcx\n"
	"	mov -112(%rsp), %rdx\n"
	"	mov -104(%rsp), %rbx\n"
	"	mov -88(%rsp), %rbp\n"
	"	mov -80(%rsp), %rsi\n"
	"	mov -72(%rsp), %rdi\n"
	"	mov -64(%rsp), %r8\n"
	"	mov -56(%rsp), %r9\n"
	"	mov -48(%rsp), %r10\n"
	"	mov -40(%rsp), %r11\n"
	"	mov -32(%rsp), %r12\n"
	"	mov -24(%rsp), %r13\n"
	"	mov -16(%rsp), %r14\n"
	"	mov -8(%rsp), %r15\n"
	"	iretq\n"
	".globl host_leave\n"
	".type host_leave,@function\n"
	"host_leave:\n"
	"	fninit\n"
	"	push $0x1f80\n"
	"	ldmxcsr (%rsp)\n"
	"	add $8, %rsp\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n"
	"	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	ret\n"
	".section .note.GNU-stack,\"\",@progbits\n"
	".text\n");
/* clang-format on */

struct diff_host {
	struct host_frame frame;
	struct diff_state out;
	volatile sig_atomic_t inside;
	uint8_t *code;	/* DIFF_CODE */
	uint8_t *alias; /* the data area, writable */
	void *stack;
	uint64_t fs_base, gs_base;
	bool has_32bit;
	int memfd;
};

/* The one exception to "no mutable state at file level": a signal handler is given no argument. */
static struct diff_host *host_current;

static const int host_signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

static void host_signal(int sig, siginfo_t *info, void *arg)
{
	struct diff_host *h = host_current;
	ucontext_t *uc = arg;
	greg_t *g = uc->uc_mcontext.gregs;
	const struct fxsave_image *fx = (const void *)uc->uc_mcontext.fpregs;
	struct diff_state *o;
	static const uint8_t order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
					  REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
					  REG_R12, REG_R13, REG_R14, REG_R15};

	(void)info;
	if (!h || !h->inside) { /* a bug of the test itself: die of it */
		signal(sig, SIG_DFL);
		return;
	}
	h->inside = 0;
	o = &h->out;
	for (unsigned i = 0; i < 16; i++)
		o->gpr[i] = (uint64_t)g[order[i]];
	o->rip = (uint64_t)g[REG_RIP];
	o->rflags = (uint64_t)g[REG_EFL];
	o->fcw = fx->fcw;
	o->fsw = fx->fsw;
	o->ftw = fx->ftw;
	o->mxcsr = fx->mxcsr;
	for (unsigned i = 0; i < 8; i++) {
		memcpy(&o->st[i].mant, fx->st[i].bytes, 8);
		memcpy(&o->st[i].sexp, fx->st[i].bytes + 8, 2);
	}
	memcpy(o->xmm, fx->xmm, sizeof(o->xmm));
	o->vector = (unsigned)g[REG_TRAPNO];
	if (sig == SIGTRAP && o->vector == VEC_DB)
		o->vector = DIFF_VECTOR_NONE;
	o->err = (uint64_t)g[REG_ERR];
	o->cr2 = (uint64_t)g[REG_CR2];

	g[REG_RIP] = (greg_t)(uintptr_t)host_leave;
	g[REG_RSP] = (greg_t)h->frame.saved_rsp;
	g[REG_EFL] = 0x202;
	g[REG_CSGSFS] = (greg_t)((uint64_t)DIFF_DS << 48 | DIFF_CS64);
}

void diff_host_run(struct diff_host *h, const struct diff_case *c, struct diff_state *out)
{
	const struct diff_state *in = &c->in;
	struct host_frame *f = &h->frame;

	memset(&f->fx, 0, sizeof(f->fx));
	f->fx.fcw = in->fcw;
	f->fx.fsw = in->fsw;
	f->fx.ftw = in->ftw;
	f->fx.mxcsr = in->mxcsr;
	for (unsigned i = 0; i < 8; i++) {
		memcpy(f->fx.st[i].bytes, &in->st[i].mant, 8);
		memcpy(f->fx.st[i].bytes + 8, &in->st[i].sexp, 2);
	}
	memcpy(f->fx.xmm, in->xmm, sizeof(in->xmm));
	memcpy(f->gpr, in->gpr, sizeof(in->gpr));
	f->rip = in->rip;
	f->cs = c->bits == 64 ? DIFF_CS64 : DIFF_CS32;
	f->rflags = in->rflags | RFLAGS_TF;
	f->rsp = in->gpr[CPU_RSP];
	f->ss = DIFF_DS;
	memcpy(h->code + (in->rip - DIFF_CODE), c->bytes, 15);
	h->inside = 1;
	host_enter(f);
	*out = h->out;
}

static int host_map(struct diff_host *h)
{
	void *p;

	h->memfd = memfd_create("diff-data", 0);
	if (h->memfd < 0 || ftruncate(h->memfd, DIFF_DATA_SIZE) != 0)
		return rv_status_from_errno(errno);
	p = mmap((void *)(uintptr_t)DIFF_CODE, RV_PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED)
		return rv_status_from_errno(errno);
	h->code = p;
	memset(p, 0xf4, RV_PAGE_SIZE);
	p = mmap(NULL, DIFF_DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, h->memfd,
		 0);
	if (p == MAP_FAILED)
		return rv_status_from_errno(errno);
	h->alias = p;
	memset(p, 0, DIFF_DATA_SIZE);
	p = mmap((void *)(uintptr_t)DIFF_DATA, DIFF_RW_PAGES * RV_PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, h->memfd, 0);
	if (p == MAP_FAILED)
		return rv_status_from_errno(errno);
	/* The read-only page must be present, or its #PF would say "not present". */
	p = mmap((void *)(uintptr_t)(DIFF_DATA + DIFF_RW_PAGES * RV_PAGE_SIZE), RV_PAGE_SIZE,
		 PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, h->memfd,
		 DIFF_RW_PAGES * RV_PAGE_SIZE);
	if (p == MAP_FAILED)
		return rv_status_from_errno(errno);
	(void)*(volatile uint8_t *)p;
	/* Present for good; without the right to lock, reclaim is merely unlikely. */
	if (mlock((void *)(uintptr_t)DIFF_DATA, DIFF_DATA_SIZE) != 0)
		fprintf(stderr, "diff_host: the data area could not be locked\n");
	return 0;
}

/* Compatibility mode needs a kernel whose GDT has the 32-bit code segment; try a NOP there. */
static bool host_probe_32bit(struct diff_host *h)
{
	struct diff_case c = {.bytes = {0x90}, .len = 1, .bits = 32};
	struct diff_state out;

	c.in.rip = DIFF_CODE + DIFF_INSN_OFFSET;
	c.in.rflags = RFLAGS_1 | RFLAGS_IF;
	c.in.fcw = 0x37f;
	c.in.mxcsr = 0x1f80;
	diff_host_run(h, &c, &out);
	return out.vector == DIFF_VECTOR_NONE && out.rip == c.in.rip + 1;
}

int diff_host_init(struct diff_host **out)
{
	struct diff_host *h;
	struct sigaction sa = {.sa_sigaction = host_signal,
			       .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	stack_t stack = {.ss_size = HOST_STACK_SIZE};
	int rc;

	if (posix_memalign((void **)&h, 64, sizeof(*h)) != 0)
		return RV_ENOMEM;
	memset(h, 0, sizeof(*h));
	h->memfd = -1;
	rc = host_map(h);
	if (rc != 0)
		goto fail;
	h->stack = malloc(HOST_STACK_SIZE);
	if (!h->stack) {
		rc = RV_ENOMEM;
		goto fail;
	}
	stack.ss_sp = h->stack;
	if (sigaltstack(&stack, NULL) != 0) {
		rc = rv_status_from_errno(errno);
		goto fail;
	}
	host_current = h;
	for (size_t i = 0; i < RV_ARRAY_LEN(host_signals); i++)
		sigaction(host_signals[i], &sa, NULL);
	/* 64-bit mode ignores DS and ES; compatibility mode wants them flat. */
	__asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(DIFF_DS));
	syscall(SYS_arch_prctl, ARCH_GET_FS, &h->fs_base);
	h->gs_base = DIFF_DATA + 0x300;
	syscall(SYS_arch_prctl, ARCH_SET_GS, h->gs_base);
	h->has_32bit = host_probe_32bit(h);
	*out = h;
	return 0;
fail:
	diff_host_fini(h);
	return rc;
}

void diff_host_fini(struct diff_host *h)
{
	if (host_current == h) {
		for (size_t i = 0; i < RV_ARRAY_LEN(host_signals); i++)
			signal(host_signals[i], SIG_DFL);
		sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
		host_current = NULL;
	}
	if (h->code)
		munmap(h->code, RV_PAGE_SIZE);
	if (h->alias) {
		munmap(h->alias, DIFF_DATA_SIZE);
		munmap((void *)(uintptr_t)DIFF_DATA, DIFF_DATA_SIZE);
	}
	if (h->memfd >= 0)
		close(h->memfd);
	free(h->stack);
	free(h);
}

uint8_t *diff_host_data(struct diff_host *h)
{
	return h->alias;
}

uint64_t diff_host_fs_base(const struct diff_host *h)
{
	return h->fs_base;
}

uint64_t diff_host_gs_base(const struct diff_host *h)
{
	return h->gs_base;
}

bool diff_host_has_32bit(const struct diff_host *h)
{
	return h->has_32bit;
}
