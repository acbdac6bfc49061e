/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guest's program, kvm_tce_guest.S, tells libkvm_tce.c by hypercalls
 * that no hypervisor has.
 */
#ifndef SELFTESTS_VFIO_KVM_TCE_GUEST_H
#define SELFTESTS_VFIO_KVM_TCE_GUEST_H

#define H_DONE		0x7ff0
#define H_INTERRUPTED	0x7ff4

/* Of a trap that never traps: what is between them is measured. */
#define MARK_START	0x7b1
#define MARK_END	0x7b2

#ifndef __ASSEMBLER__
extern const char guest_program[], guest_program_end[];
extern const char guest_interrupt[], guest_interrupt_end[];
#endif

#endif
