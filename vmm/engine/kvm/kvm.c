/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KVM engine: the guest's own instructions through stock /dev/kvm.
 *
 * No in-kernel interrupt controller: the board's own LAPIC, IOAPIC, PIC and
 * PIT serve, and each interrupt is injected from here. Device MSRs come out as
 * exits through the MSR filter. It does not count instructions: its icount
 * counts exits, and the live port gives the clock rate 0.
 */
#include "kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "cpu/model.h"

#define KVM_TICK_NS 1000000l  /* a guest that never exits is looked at this often */
#define KVM_TSS_ADDR 0xfffbd000u /* three pages VT-x needs without unrestricted guest; in the PCI hole */

static void kvm_tick_handler(int sig)
{
	(void)sig; /* only there to make KVM_RUN return */
}

static int kvm_cpuid_set(struct kvm *k, unsigned vcpu)
{
	static const uint32_t leaves[] = { 0, 1, 2, 3, 4, 5, 6, 7, 0xa, 0xb, 0xd, 0x15, 0x16,
					   0x40000000, 0x80000000, 0x80000001, 0x80000002,
					   0x80000003, 0x80000004, 0x80000005, 0x80000006,
					   0x80000007, 0x80000008 };
	union {
		struct kvm_cpuid2 head;
		uint8_t room[sizeof(struct kvm_cpuid2) + 64 * sizeof(struct kvm_cpuid_entry2)];
	} table;
	struct cpu_state s;
	unsigned n = 0;
	memset(&table, 0, sizeof(table));
	cpu_state_reset(&s, vcpu == 0);
	for (size_t i = 0; i < RV_ARRAY_LEN(leaves); i++) {
		bool indexed = leaves[i] == 4 || leaves[i] == 7 || leaves[i] == 0xb;
		for (uint32_t sub = 0; sub < (indexed ? 4u : 1u); sub++) {
			struct kvm_cpuid_entry2 *e = &table.head.entries[n++];
			struct cpuid_regs r;
			cpu_model_cpuid(&s, vcpu, k->cfg.ncpus, true, leaves[i], sub, &r);
			e->function = leaves[i];
			e->index = sub;
			e->flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
			e->eax = r.eax;
			e->ebx = r.ebx;
			e->ecx = r.ecx;
			e->edx = r.edx;
		}
	}
	table.head.nent = n;
	return ioctl(k->vcpu[vcpu].fd, KVM_SET_CPUID2, &table) ? RV_EIO : RV_OK;
}

/* RAM: one slot below the PCI hole, one above 4 GiB. */
static int kvm_memory_set(struct kvm *k)
{
	struct guest_mem *m = k->cfg.mem;
	struct kvm_userspace_memory_region low = {
		.slot = 0,
		.guest_phys_addr = 0,
		.memory_size = mem_low_size(m),
		.userspace_addr = (uintptr_t)mem_page_host(m, 0),
	};
	struct kvm_userspace_memory_region high = {
		.slot = 1,
		.guest_phys_addr = MEM_HOLE_END,
		.memory_size = mem_high_size(m),
	};
	if (ioctl(k->vm_fd, KVM_SET_USER_MEMORY_REGION, &low))
		return RV_EIO;
	if (high.memory_size == 0)
		return RV_OK;
	high.userspace_addr = (uintptr_t)mem_page_host(m, mem_low_size(m) >> RV_PAGE_SHIFT);
	return ioctl(k->vm_fd, KVM_SET_USER_MEMORY_REGION, &high) ? RV_EIO : RV_OK;
}

/* Unknown MSRs and the device MSRs come to us; the rest is KVM's. */
static int kvm_msr_exits(struct kvm *k)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = { KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_INVAL |
			  KVM_MSR_EXIT_REASON_FILTER },
	};
	static const uint32_t device[] = { MSR_APIC_BASE, MSR_TSC_DEADLINE };
	uint8_t deny = 0;
	struct kvm_msr_filter filter = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };
	if (ioctl(k->vm_fd, KVM_ENABLE_CAP, &cap))
		return RV_ENOTSUP;
	for (size_t i = 0; i < RV_ARRAY_LEN(device); i++)
		filter.ranges[i] = (struct kvm_msr_filter_range){
			.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			.base = device[i],
			.nmsrs = 1,
			.bitmap = &deny,
		};
	return ioctl(k->vm_fd, KVM_X86_SET_MSR_FILTER, &filter) ? RV_ENOTSUP : RV_OK;
}

static void kvm_engine_destroy(struct engine *engine)
{
	struct kvm *k = (struct kvm *)engine;
	if (!k)
		return;
	for (unsigned i = 0; i < k->cfg.ncpus; i++) {
		if (k->vcpu[i].run && k->vcpu[i].run != MAP_FAILED)
			munmap(k->vcpu[i].run, k->run_size);
		if (k->vcpu[i].fd >= 0)
			close(k->vcpu[i].fd);
	}
	if (k->vm_fd >= 0)
		close(k->vm_fd);
	if (k->dev_fd >= 0)
		close(k->dev_fd);
	free(k);
}

static int kvm_vcpu_create(struct kvm *k, unsigned i)
{
	struct kvm_vcpu *v = &k->vcpu[i];
	v->fd = ioctl(k->vm_fd, KVM_CREATE_VCPU, (unsigned long)i);
	if (v->fd < 0)
		return RV_EIO;
	v->run = mmap(NULL, k->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED)
		return RV_EIO;
	return kvm_cpuid_set(k, i);
}

static int kvm_engine_create(struct engine **out, const struct engine_cfg *cfg, struct rv_err *err)
{
	struct kvm *k = calloc(1, sizeof(*k));
	struct sigaction sa = { .sa_handler = kvm_tick_handler };
	int rc = RV_EIO, size;
	if (!k)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	k->cfg = *cfg;
	k->vm_fd = -1;
	for (unsigned i = 0; i < CPU_MAX; i++)
		k->vcpu[i].fd = -1;
	k->dev_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (k->dev_fd < 0) {
		rc = rv_err_set(err, rv_status_from_errno(errno),
				"/dev/kvm: %s; use --engine=exact", strerror(errno));
		goto fail;
	}
	if (ioctl(k->dev_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		rc = rv_err_set(err, RV_ENOTSUP, "/dev/kvm: not the stable KVM API (version 12)");
		goto fail;
	}
	size = ioctl(k->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	k->vm_fd = ioctl(k->dev_fd, KVM_CREATE_VM, 0);
	if (size < (int)sizeof(struct kvm_run) || k->vm_fd < 0)
		goto fail_text;
	k->run_size = (size_t)size;
	/* Refused by AMD hosts, where it is not needed. */
	(void)ioctl(k->vm_fd, KVM_SET_TSS_ADDR, (unsigned long)KVM_TSS_ADDR);
	if ((rc = kvm_memory_set(k)) != RV_OK || (rc = kvm_msr_exits(k)) != RV_OK)
		goto fail_text;
	for (unsigned i = 0; i < cfg->ncpus; i++)
		if ((rc = kvm_vcpu_create(k, i)) != RV_OK)
			goto fail_text;
	/* No SA_RESTART: the tick must interrupt KVM_RUN. */
	sigaction(SIGRTMIN, &sa, NULL);
	*out = (struct engine *)k;
	return RV_OK;
fail_text:
	rv_err_set(err, rc, "/dev/kvm: this host's KVM lacks what is needed (%s)",
		   strerror(errno));
fail:
	kvm_engine_destroy((struct engine *)k);
	return rc;
}

/* ---- exits ---- */

static void kvm_exit_io(struct kvm *k, unsigned vcpu, struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		uint64_t v = 0;
		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&v, data, run->io.size);
			bus_pio_write(k->cfg.bus, vcpu, run->io.port, run->io.size, v);
		} else {
			v = bus_pio_read(k->cfg.bus, vcpu, run->io.port, run->io.size);
			memcpy(data, &v, run->io.size);
		}
	}
}

static void kvm_exit_mmio(struct kvm *k, unsigned vcpu, struct kvm_run *run)
{
	uint64_t v = 0;
	if (run->mmio.is_write) {
		memcpy(&v, run->mmio.data, run->mmio.len);
		bus_mmio_write(k->cfg.bus, vcpu, run->mmio.phys_addr, run->mmio.len, v);
	} else {
		v = bus_mmio_read(k->cfg.bus, vcpu, run->mmio.phys_addr, run->mmio.len);
		memcpy(run->mmio.data, &v, run->mmio.len);
	}
}

static void kvm_exit_msr(struct kvm *k, unsigned vcpu, struct kvm_run *run)
{
	uint64_t v = run->msr.data;
	int rc;
	if (run->exit_reason == KVM_EXIT_X86_WRMSR)
		rc = bus_msr_write(k->cfg.bus, vcpu, run->msr.index, v);
	else
		rc = bus_msr_read(k->cfg.bus, vcpu, run->msr.index, &v);
	if (rc == RV_ENOENT) {
		struct cpu_state s;
		rc = kvm_state_get(k, vcpu, &s);
		if (rc == RV_OK && run->exit_reason == KVM_EXIT_X86_RDMSR)
			rc = cpu_model_msr_read(&s, run->msr.index, &v);
		else if (rc == RV_OK)
			rc = cpu_model_msr_write(&s, run->msr.index, v);
	}
	run->msr.data = v;
	run->msr.error = rc != RV_OK;
}

/* Injects what the pins ask for, or asks for an exit as soon as that is possible. */
static int kvm_inject(struct kvm *k, unsigned vcpu, struct kvm_run *run)
{
	struct kvm_vcpu *v = &k->vcpu[vcpu];
	struct vcpu_pins *pins = bus_pins(k->cfg.bus, vcpu);
	run->request_interrupt_window = 0;
	if (pins->nmi) {
		pins->nmi = false;
		v->halted = false;
		if (ioctl(v->fd, KVM_NMI))
			return RV_EIO;
	}
	if (!pins->intr)
		return RV_OK;
	if (run->ready_for_interrupt_injection && run->if_flag) {
		int vector = bus_irq_ack(k->cfg.bus, vcpu);
		struct kvm_interrupt irq = { .irq = (uint32_t)vector };
		if (vector < 0)
			return RV_OK;
		v->halted = false;
		if (ioctl(v->fd, KVM_INTERRUPT, &irq))
			return RV_EIO;
	} else {
		run->request_interrupt_window = 1;
	}
	return RV_OK;
}

/* Arms the tick for this thread; a guest in a loop leaves KVM_RUN by its signal. */
static int kvm_tick_start(timer_t *timer)
{
	struct sigevent sev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN };
	struct itimerspec its = { .it_interval.tv_nsec = KVM_TICK_NS, .it_value.tv_nsec = KVM_TICK_NS };
	sev._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &sev, timer))
		return RV_EIO;
	return timer_settime(*timer, 0, &its, NULL) ? RV_EIO : RV_OK;
}

static int kvm_engine_run(struct engine *engine, unsigned vcpu, icount_t until,
			  struct engine_stop *stop)
{
	struct kvm *k = (struct kvm *)engine;
	struct kvm_vcpu *v = &k->vcpu[vcpu];
	struct kvm_run *run = v->run;
	struct vclock *clock = k->cfg.clock;
	const bool *moved = vclock_moved_flag(clock);
	const bool *attention = bus_attention(k->cfg.bus);
	icount_t icount = vclock_icount(clock);
	const bool step = until - icount == 1;
	timer_t timer;
	int rc;

	memset(stop, 0, sizeof(*stop));
	stop->reason = ENGINE_EXIT_ICOUNT;
	if (icount >= until)
		return RV_OK;
	if ((rc = kvm_tick_start(&timer)) != RV_OK)
		return rc;
	while (icount < until && !v->shutdown) {
		struct kvm_guest_debug dbg = {
			.control = step ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP : 0,
		};
		if (*moved || *attention) {
			stop->reason = ENGINE_EXIT_ATTENTION;
			break;
		}
		if ((rc = kvm_inject(k, vcpu, run)) != RV_OK)
			break;
		if (v->halted) {
			stop->reason = ENGINE_EXIT_HALT;
			break;
		}
		if (step && ioctl(v->fd, KVM_SET_GUEST_DEBUG, &dbg)) {
			rc = RV_EIO;
			break;
		}
		run->cr8 = bus_cr8_read(k->cfg.bus, vcpu);
		rc = ioctl(v->fd, KVM_RUN, 0) ? -errno : 0;
		icount++;
		k->steps++;
		vclock_set_icount(clock, icount);
		bus_cr8_write(k->cfg.bus, vcpu, (uint8_t)(run->cr8 & 15));
		if (rc == -EINTR || rc == -EAGAIN) {
			rc = RV_OK;
			break; /* the tick, or a kick: the machine looks at its port */
		}
		if (rc) {
			rv_log(RV_LOG_ERROR, "KVM_RUN: %s", strerror(-rc));
			rc = RV_EIO;
			break;
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			kvm_exit_io(k, vcpu, run);
			break;
		case KVM_EXIT_MMIO:
			kvm_exit_mmio(k, vcpu, run);
			break;
		case KVM_EXIT_X86_RDMSR:
		case KVM_EXIT_X86_WRMSR:
			kvm_exit_msr(k, vcpu, run);
			break;
		case KVM_EXIT_HLT:
			v->halted = true;
			break;
		case KVM_EXIT_DEBUG:
		case KVM_EXIT_IRQ_WINDOW_OPEN:
		case KVM_EXIT_INTR:
		case KVM_EXIT_SET_TPR: /* CR8 came back in kvm_run and is with the APIC already */
			break;
		case KVM_EXIT_SHUTDOWN:
			v->shutdown = true;
			break;
		default:
			/* FAIL_ENTRY, INTERNAL_ERROR: KVM cannot run this state. */
			rv_log(RV_LOG_ERROR, "KVM gave up: exit reason %u, %llu",
			       run->exit_reason, (unsigned long long)run->internal.suberror);
			rc = RV_EIO;
			break;
		}
		if (rc != RV_OK)
			break;
	}
	timer_delete(timer);
	if (v->shutdown)
		stop->reason = ENGINE_EXIT_SHUTDOWN;
	return rc;
}

static void kvm_engine_kick(struct engine *engine)
{
	struct kvm *k = (struct kvm *)engine;
	for (unsigned i = 0; i < k->cfg.ncpus; i++)
		k->vcpu[i].run->immediate_exit = 1;
}

static void kvm_engine_get_state(struct engine *engine, unsigned vcpu, struct cpu_state *out)
{
	/* A vCPU whose state cannot be read has none: zeros, which no caller mistakes for a guest. */
	if (kvm_state_get((struct kvm *)engine, vcpu, out) != RV_OK)
		memset(out, 0, sizeof(*out));
}

static int kvm_engine_set_state(struct engine *engine, unsigned vcpu, const struct cpu_state *s)
{
	return kvm_state_set((struct kvm *)engine, vcpu, s);
}

static int kvm_engine_break(struct engine *engine, enum engine_break_kind kind, uint64_t addr,
			    uint64_t len)
{
	(void)engine;
	(void)kind;
	(void)addr;
	(void)len;
	return RV_ENOTSUP; /* no ENGINE_CAP_BREAK */
}

static void kvm_engine_break_skip(struct engine *engine, icount_t icount)
{
	(void)engine;
	(void)icount;
}

static int kvm_engine_translate(struct engine *engine, unsigned vcpu, uint64_t va, gpa_t *gpa)
{
	struct kvm_translation t = { .linear_address = va };
	if (ioctl(((struct kvm *)engine)->vcpu[vcpu].fd, KVM_TRANSLATE, &t))
		return RV_EIO;
	if (!t.valid)
		return RV_ENOENT;
	*gpa = t.physical_address;
	return RV_OK;
}

static void kvm_engine_flush(struct engine *engine)
{
	(void)engine; /* the host's MMU derives nothing that it does not track itself */
}

static void kvm_engine_stats(const struct engine *engine, struct engine_stats *out)
{
	memset(out, 0, sizeof(*out));
	out->steps = ((const struct kvm *)engine)->steps;
}

static int kvm_engine_jit_dump(struct engine *engine, unsigned vcpu, uint64_t va, struct bytes *out)
{
	(void)engine;
	(void)vcpu;
	(void)va;
	(void)out;
	return RV_ENOTSUP;
}

const struct engine_ops engine_kvm_ops = {
	.name = "kvm",
	.caps = ENGINE_CAP_STEP,
	.create = kvm_engine_create,
	.destroy = kvm_engine_destroy,
	.run = kvm_engine_run,
	.kick = kvm_engine_kick,
	.get_state = kvm_engine_get_state,
	.set_state = kvm_engine_set_state,
	.break_set = kvm_engine_break,
	.break_clear = kvm_engine_break,
	.break_skip = kvm_engine_break_skip,
	.translate = kvm_engine_translate,
	.flush = kvm_engine_flush,
	.jit_dump = kvm_engine_jit_dump,
	.stats = kvm_engine_stats,
};
