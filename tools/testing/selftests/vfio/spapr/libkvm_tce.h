/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Virtual machine that only makes hypercalls.
 *
 * Its processors run a few instructions, in real mode: they make a
 * hypercall as often as user space requests, and report its return value. Calls
 * that KVM completes do not return from KVM_RUN; calls that KVM leaves to user
 * space do, and then return H_TO_USER to the guest.
 *
 * The caller provides the guest memory. KVM must be KVM-HV, on a radix host, or
 * on a hash host, where the memory at guest address 0 is accessed through a
 * hash table that KVM fills itself. VFIO_TEST_KVM=PR selects KVM-PR, which
 * leaves H_GET_TCE to user space: it is answered from the shadow.
 */
#ifndef SELFTESTS_VFIO_LIBKVM_TCE_H
#define SELFTESTS_VFIO_LIBKVM_TCE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/kvm.h>

#include "libspapr.h"

#define VM_MAX_CPUS	4

/* The guest memory starts with the program. */
#define VM_PROGRAM	0x10000UL
/* Guest memory starts at address 0, with this minimal size. */
#define VM_MEM_MIN	0x100000UL

/* Hypercalls, and their return values */
#define H_GET_TCE		0x1c
#define H_PUT_TCE		0x20
#define H_PROD			0xe8
#define H_STUFF_TCE		0x138
#define H_PUT_TCE_INDIRECT	0x13c

#define H_SUCCESS	0L
#define H_PARAMETER	(-4L)
/*
 * Not seen by the guest: KVM left the call to user space; the guest cannot run.
 */
#define H_TO_USER	0x70000001L
#define H_BROKEN	0x70000002L

#define TCE_READ	1UL
#define TCE_WRITE	2UL
#define TCE_RW		(TCE_READ | TCE_WRITE)

/* vCPU; used by one thread at a time. */
struct cpu {
	int fd;
	struct kvm_run *run;
	size_t run_size;
};

struct vm {
	int kvm;
	int fd;
	int vfio;	/* KVM-VFIO device */
	unsigned int nr_cpus;
	struct cpu cpu[VM_MAX_CPUS];
};

/* One hypercall, made @count times, with argument 2 advanced by @step. */
struct tce_hcall {
	unsigned long nr;
	unsigned long arg[4];
	unsigned long step;
	unsigned long count;
	/* output */
	unsigned long second;	/* second result of the last call */
	unsigned long ticks;	/* timebase ticks of all calls */
};

/* Returns the missing requirement of such a machine, or NULL. */
const char *vm_missing(void);

/* Returns a counter of KVM for all VMs; -1 if it does not exist. */
long vm_count(const char *name);

/*
 * Whether the host takes hypercalls of such a machine in real mode, where KVM
 * may complete them: POWER8 with KVM-HV. CONFIG_KVM_BOOK3S_64_TCE_SWITCH allows
 * to disable this: vm_real_mode() then returns 0, otherwise 1, and -ENOENT if
 * there is no such switch.
 */
#define VM_NEEDS_REAL_MODE \
	"needs a host that serves hypercalls in real mode: a POWER8 with KVM-HV"
bool vm_has_real_mode(void);
int vm_real_mode(void);

/* Process that turns real mode on again. */
struct vm_switch {
	int fd;
	int pid;
};

/*
 * Real mode is off from vm_real_mode_off() to vm_real_mode_restore(), or to the
 * end of this process by any cause. It stays off if it was off before.
 */
int vm_real_mode_off(struct vm_switch *sw);
void vm_real_mode_restore(struct vm_switch *sw);

/*
 * Functions that return int return 0 or more, or a negative errno. vm_close()
 * closes what is open, also after parts were closed separately.
 */
void vm_init(struct vm *vm);
int __vm_open(struct vm *vm, void *mem, size_t size, unsigned int nr_cpus);
void vm_close(struct vm *vm);
void vm_close_cpus(struct vm *vm);
int __vm_slot(struct vm *vm, unsigned int slot, __u64 gpa, void *va,
	      __u64 size);
int __vm_enable_hcall(struct vm *vm, unsigned long nr, bool on);

/* Returns the file descriptor; @offset and @size are in IOMMU pages. */
int __vm_table(struct vm *vm, __u64 liobn, __u32 page_shift, __u64 offset,
	       __u64 size);

/* VFIO groups by file descriptor */
int __vm_add_group(struct vm *vm, int group);
int __vm_del_group(struct vm *vm, int group);
int __vm_attach(struct vm *vm, int group, int table);

/* Returns the return value; those of several calls are ORed. */
long vm_hcall(struct cpu *cpu, struct tce_hcall *h);

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
/* VM with memory and a table, and optionally a group behind the table */

#define GUEST_LIOBN	0x80000001UL
#define GUEST_ALIGN	0x1000000UL

struct guest {
	struct vm vm;
	struct spapr s;
	char *mem;	/* at guest address 0, registered */
	size_t size;
	int table;
	__u64 window;	/* first bus address */
};

struct guest_config {
	size_t size;		/* of the memory */
	unsigned int nr_cpus;
	unsigned int shift;	/* of the guest's IOMMU pages */
	unsigned int hw_shift;	/* of the device's IOMMU pages; 0: no device */
	__u64 window;		/* bytes */
	char *mem;		/* existing memory, not registered; or NULL */
};

void guest_init(struct guest *g);
int __guest_open(struct guest *g, const struct guest_config *c);
int __guest_attach(struct guest *g, unsigned int n);
void guest_close_table(struct guest *g);
void guest_close(struct guest *g);

#endif
