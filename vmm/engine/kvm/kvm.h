/* SPDX-License-Identifier: Apache-2.0 */
/* The KVM engine, inside: kvm.c runs, kvm_state.c translates vCPU state. */
#ifndef RV_KVM_KVM_H
#define RV_KVM_KVM_H

#include <linux/kvm.h>
#include <signal.h>
#include <time.h>

#include "engine/engine.h"

struct kvm_vcpu {
	int fd;
	struct kvm_run *run;
	bool halted;
	bool shutdown;
};

struct kvm {
	struct engine_cfg cfg;
	int dev_fd, vm_fd;
	size_t run_size;
	uint64_t steps;
	struct kvm_vcpu vcpu[CPU_MAX];
};

/* 0 or RV_EIO. */
int kvm_state_get(struct kvm *k, unsigned vcpu, struct cpu_state *out);
int kvm_state_set(struct kvm *k, unsigned vcpu, const struct cpu_state *s);

#endif
