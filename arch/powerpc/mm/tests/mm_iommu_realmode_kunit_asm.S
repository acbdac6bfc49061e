/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Real mode calls for the KUnit suites of the registry of DMA memory.
 */
#include <asm/exception-64s.h>
#include <asm/ppc_asm.h>
#include <asm/ptrace.h>
#include <asm/reg.h>

#define FRAME_SIZE	(STACK_FRAME_MIN_SIZE + 16)

/*
 * unsigned long mm_iommu_kunit_mmu_off(unsigned long entry, void *arg)
 *
 * Calls the code at @entry with @arg, with MSR[IR] and MSR[DR] clear, and
 * returns its return value. Requires bare metal, and interrupts that are hard
 * disabled. Code and stack must be in the linear map.
 */
_GLOBAL_TOC(mm_iommu_kunit_mmu_off)
	mflr	r0
	std	r0, PPC_LR_STKOFF(r1)
	std	r31, -8(r1)
	stdu	r1, -FRAME_SIZE(r1)
	mr	r12, r3
	mr	r3, r4

	/* a machine check must not clobber SRR0 and SRR1 */
	mfmsr	r31
	li	r0, MSR_RI
	andc	r0, r31, r0
	mtmsrd	r0, 1
	LOAD_REG_ADDR(r5, mmu_is_off)
	li	r6, MSR_IR | MSR_DR
	andc	r6, r31, r6
	mtsrr0	r5
	mtsrr1	r6
	RFI_TO_KERNEL

mmu_is_off:
	mtctr	r12
	bctrl

	mfmsr	r6
	li	r0, MSR_RI
	andc	r6, r6, r0
	mtmsrd	r6, 1
	LOAD_REG_ADDR(r5, mmu_is_on)
	mtsrr0	r5
	mtsrr1	r31
	RFI_TO_KERNEL

mmu_is_on:
	addi	r1, r1, FRAME_SIZE
	ld	r31, -8(r1)
	ld	r0, PPC_LR_STKOFF(r1)
	mtlr	r0
	blr
_ASM_NOKPROBE_SYMBOL(mm_iommu_kunit_mmu_off)
