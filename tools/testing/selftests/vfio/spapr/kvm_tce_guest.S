/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The program of the guest: it makes one hypercall, as often as it is told.
 *
 * A hypercall that user space answers comes back with user space's values in
 * r3 to r12. The answer to H_DONE is the number of the next hypercall; its
 * arguments are in r4 to r7, what to add to the second one each time in r8,
 * and the count in r9. What is told at the end, with H_DONE, is the second
 * result in r10, the ticks of the timebase in r11, and in r12 the answers,
 * ORed. A hypercall keeps r14 to r31 only.
 *
 * The traps that never trap tell whoever watches the machine from outside when
 * the hypercalls begin and end; see bench.h.
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

/* At every place where an interrupt could begin */
guest_interrupt:
	li	3, H_INTERRUPTED
	sc	1
guest_interrupt_end:

	.section .note.GNU-stack, "", @progbits
