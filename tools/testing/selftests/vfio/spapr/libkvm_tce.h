/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtual machine that does nothing but hypercalls.
 *
 * Its processors run a few instructions, with the MMU off: make a hypercall as
 * often as user space wants and tell it the answer. What KVM serves never comes
 * out of KVM_RUN; what KVM leaves to user space does, and the guest then gets
 * H_TO_USER as its answer.
 *
 * The guest's memory is what the caller gives it. KVM must be KVM-HV: on a
 * radix host, or on a hash host, where the memory at guest address 0 is reached
 * through a hash table that KVM itself fills. With VFIO_TEST_KVM=PR it is KVM-PR,
 * which leaves H_GET_TCE to user space: that is answered from the guest's view.
 */
#ifndef SELFTESTS_VFIO_LIBKVM_TCE_H
#define SELFTESTS_VFIO_LIBKVM_TCE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/kvm.h>

#include "libspapr.h"

#define VM_MAX_CPUS	2

/* The first bytes of the guest's memory are its program. */
#define VM_PROGRAM	0x10000UL
/* Guest memory is reached from address 0 on, and there so much is needed. */
#define VM_MEM_MIN	0x100000UL

/* Hypercalls, and what they answer */
#define H_GET_TCE		0x1c
#define H_PUT_TCE		0x20
#define H_PROD			0xe8
#define H_STUFF_TCE		0x138
#define H_PUT_TCE_INDIRECT	0x13c

#define H_SUCCESS	0L
#define H_PARAMETER	(-4L)
/* These are none of the guest's: KVM gave up; the guest could not run. */
#define H_TO_USER	0x70000001L
#define H_BROKEN	0x70000002L

#define TCE_READ	1UL
#define TCE_WRITE	2UL
#define TCE_RW		(TCE_READ | TCE_WRITE)

/* A processor; one thread at a time may use it. */
struct cpu {
	int fd;
	struct kvm_run *run;
	size_t run_size;
};

struct vm {
	int kvm;
	int fd;
	int vfio;	/* KVM's device that knows the groups */
	unsigned int nr_cpus;
	struct cpu cpu[VM_MAX_CPUS];
};

/* One hypercall, made @count times, each time @step further in argument 2. */
struct hcall {
	unsigned long nr;
	unsigned long arg[4];
	unsigned long step;
	unsigned long count;
	/* out */
	unsigned long second;	/* result of the last one */
	unsigned long ticks;	/* of the timebase, for all of them */
};

/* What is missing to run such a machine here, or NULL. */
const char *vm_missing(void);

/* What KVM counts for all virtual machines; -1 where it does not. */
long vm_count(const char *name);

/*
 * Whether the host takes hypercalls of such a machine with the MMU off, where
 * KVM may serve them: a POWER8 with KVM-HV. A kernel that has
 * CONFIG_KVM_BOOK3S_64_TCE_SWITCH can be told not to do that: vm_real_mode()
 * gives 0 then, 1 otherwise, and -ENOENT where there is no such switch.
 */
#define VM_NEEDS_REAL_MODE \
	"needs a host that serves hypercalls in real mode: a POWER8 with KVM-HV"
bool vm_has_real_mode(void);
int vm_real_mode(void);

/* Who turns real mode on again. */
struct vm_switch {
	int fd;
	int pid;
};

/*
 * From vm_real_mode_off() to vm_real_mode_restore(), or to the end of this
 * process, however it ends, real mode is off. What was off before stays so.
 */
int vm_real_mode_off(struct vm_switch *sw);
void vm_real_mode_restore(struct vm_switch *sw);

/*
 * Functions that return int give 0 or more, or the negative errno. vm_close()
 * closes what is open, and can be called after a part was closed by hand.
 */
void vm_init(struct vm *vm);
int __vm_open(struct vm *vm, void *mem, size_t size, unsigned int nr_cpus);
void vm_close(struct vm *vm);
void vm_close_cpus(struct vm *vm);
int __vm_slot(struct vm *vm, unsigned int slot, __u64 gpa, void *va,
	      __u64 size);
int __vm_enable_hcall(struct vm *vm, unsigned long nr, bool on);

/* Gives the file descriptor; @offset and @size are in IOMMU pages. */
int __vm_table(struct vm *vm, __u64 liobn, __u32 page_shift, __u64 offset,
	       __u64 size);

/* VFIO groups by their file descriptors */
int __vm_add_group(struct vm *vm, int group);
int __vm_del_group(struct vm *vm, int group);
int __vm_attach(struct vm *vm, int group, int table);

/* The answer; that of several are ORed. */
long vm_hcall(struct cpu *cpu, struct hcall *h);

long h_put_tce(struct cpu *cpu, unsigned long liobn, unsigned long ioba,
	       unsigned long tce);
long h_put_tce_indirect(struct cpu *cpu, unsigned long liobn,
			unsigned long ioba, unsigned long list,
			unsigned long n);
long h_stuff_tce(struct cpu *cpu, unsigned long liobn, unsigned long ioba,
		 unsigned long tce, unsigned long n);
long h_get_tce(struct cpu *cpu, unsigned long liobn, unsigned long ioba,
	       unsigned long *tce);

/* ------------------------------------------------------------------ */
/* A machine with memory, a table, and maybe a group behind the table */

#define GUEST_LIOBN	0x80000001UL
#define GUEST_ALIGN	0x1000000UL

struct guest {
	struct vm vm;
	struct spapr s;
	char *mem;	/* at guest address 0, and registered */
	size_t size;
	int table;
	__u64 window;	/* its first bus address */
};

struct guest_config {
	size_t size;		/* of memory */
	unsigned int nr_cpus;
	unsigned int shift;	/* of the guest's IOMMU pages */
	unsigned int hw_shift;	/* of the device's; 0: no device */
	__u64 window;		/* bytes */
	char *mem;		/* if there is some already: it is not registered */
};

void guest_init(struct guest *g);
int __guest_open(struct guest *g, const struct guest_config *c);
int __guest_attach(struct guest *g, unsigned int n);
void guest_close_table(struct guest *g);
void guest_close(struct guest *g);

#endif
