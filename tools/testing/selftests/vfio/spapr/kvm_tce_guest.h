/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hypercalls between the guest program, kvm_tce_guest.S, and libkvm_tce.c that
 * no hypervisor has.
 */
#ifndef SELFTESTS_VFIO_KVM_TCE_GUEST_H
#define SELFTESTS_VFIO_KVM_TCE_GUEST_H

#define H_DONE		0x7ff0
#define H_INTERRUPTED	0x7ff4

/* Conditional traps that never trigger, around the measured code. */
#define MARK_START	0x7b1
#define MARK_END	0x7b2

#ifndef __ASSEMBLER__
extern const char guest_program[], guest_program_end[];
extern const char guest_interrupt[], guest_interrupt_end[];
#endif

#endif
