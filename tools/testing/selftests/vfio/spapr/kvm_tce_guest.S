/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest program: makes one hypercall, repeatedly.
 *
 * A hypercall that user space completes returns with values of user space in r3
 * to r12. The return values of H_DONE are the number of the next hypercall in
 * r3, its arguments in r4 to r7, the step of the second argument in r8, and the
 * count in r9. The arguments of H_DONE are the second result in r10, the ticks
 * of the timebase in r11, and the ORed return values in r12. A hypercall
 * preserves r14 to r31 only.
 *
 * Conditional traps that never trigger mark the start and the end of the
 * hypercalls for external tools; see bench.h.
 */
#include "kvm_tce_guest.h"

	.section .rodata
	.balign	8
	.globl	guest_program, guest_program_end
	.globl	guest_interrupt, guest_interrupt_end

guest_program:
1:	li	3, H_DONE
	sc	1
	mr	14, 3
	mr	15, 4
	mr	16, 5
	mr	17, 6
	mr	18, 7
	mr	19, 8
	mr	22, 9
	li	21, 0
	twi	0, 0, MARK_START
	mftb	20
2:	mr	3, 14
	mr	4, 15
	mr	5, 16
	mr	6, 17
	mr	7, 18
	sc	1
	or	21, 21, 3
	add	16, 16, 19
	addi	22, 22, -1
	cmpdi	22, 0
	bne	2b
	mftb	11
	twi	0, 0, MARK_END
	subf	11, 20, 11
	mr	10, 4
	mr	12, 21
	b	1b
guest_program_end:

/* At each interrupt vector */
guest_interrupt:
	li	3, H_INTERRUPTED
	sc	1
guest_interrupt_end:

	.section .note.GNU-stack, "", @progbits
