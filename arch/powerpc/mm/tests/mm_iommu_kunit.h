/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common to the KUnit suites of the registry of DMA memory.
 */
#ifndef _POWERPC_MM_MM_IOMMU_KUNIT_H
#define _POWERPC_MM_MM_IOMMU_KUNIT_H

#include <kunit/test.h>

#include "../mm_iommu.h"

/* Aligned for every node, and far from the memory that tests map. */
#define KUNIT_UA	BIT(40)
#define KUNIT_HPA	BIT(44)

/**
 * struct mm_iommu_kunit - state of a test, in test->priv
 * @mm: mm of the test, used by its thread
 * @instead: if not 0, pins take the page at this address instead of the
 *	requested one
 * @from: the same per page of the region at @from_ua: the addresses of the
 *	pages to take instead
 * @calls: number of calls of mm_iommu_pin_user() so far
 * @fail_at: first call to fail, counted from 1; 0 for none
 * @fail_calls: number of calls that fail from there on
 * @fail_with: their return value
 * @at_most: maximum number of pages pinned per call, if not 0
 * @kill_at: call during which the thread is killed; 0 for none
 * @again: if not 0, bytes that the killed thread registers a second time, at
 *	the same address, during the first call
 * @again_ret: result of that
 * @refusal: cause of the last failed registration
 */
struct mm_iommu_kunit {
	struct mm_struct *mm;
	unsigned long instead;
	const unsigned long *from;
	unsigned long from_ua;
	unsigned int calls;
	unsigned int fail_at;
	unsigned int fail_calls;
	int fail_with;
	int at_most;
	unsigned int kill_at;
	unsigned long again;
	int again_ret;
	struct mm_iommu_refusal refusal;
};

int mm_iommu_kunit_init(struct kunit *test);
void mm_iommu_kunit_exit(struct kunit *test);
unsigned long mm_iommu_kunit_map(struct kunit *test, unsigned long npages);
int mm_iommu_kunit_register(struct kunit *test, unsigned long ua,
			    unsigned long size,
			    struct mm_iommu_region **regionp);
void mm_iommu_kunit_stub_pins(struct kunit *test);
void mm_iommu_kunit_failslab(struct kunit *test);
void mm_iommu_kunit_fail_alloc(unsigned int nth);
bool mm_iommu_kunit_alloc_failed(void);

/**
 * struct mm_iommu_kunit_layout - layout of memory in user and host addresses
 * @name: name of the test case
 * @offset: offset of the region from an address that is aligned for all nodes
 * @size: size in bytes
 * @run: size of the contiguous runs, which are aligned in both addresses, as
 *	folios are
 * @gap: bytes between two runs, in host addresses
 * @skew: offset of the host addresses from that alignment
 * @broken: offset of a single page that is located elsewhere, or 0
 * @mixed: every other 2M are single pages
 * @order: log2 of the size of the smallest block, or 0 for any
 * @bytes: maximum size of the translation
 */
struct mm_iommu_kunit_layout {
	const char *name;
	unsigned long offset;
	unsigned long size;
	unsigned long run;
	unsigned long gap;
	unsigned long skew;
	unsigned long broken;
	bool mixed;
	unsigned int order;
	size_t bytes;
};

#define MM_IOMMU_KUNIT_LAYOUTS	13
extern const struct mm_iommu_kunit_layout
	mm_iommu_kunit_layouts[MM_IOMMU_KUNIT_LAYOUTS];

unsigned long mm_iommu_kunit_hpa(const struct mm_iommu_kunit_layout *l,
				 unsigned long ua);
void mm_iommu_kunit_trans(struct kunit *test, struct mm_iommu_trans *trans,
			  const struct mm_iommu_kunit_layout *l);

/* Calls @fn with @data in real mode or in virtual mode. */
typedef unsigned long (*mm_iommu_kunit_call)(unsigned long (*fn)(void *data),
					     void *data);

void mm_iommu_kunit_need_real_mode(struct kunit *test);
unsigned long mm_iommu_kunit_virtual_mode(unsigned long (*fn)(void *data),
					  void *data);
unsigned long mm_iommu_kunit_real_mode(unsigned long (*fn)(void *data),
				       void *data);
unsigned long mm_iommu_kunit_mmu_off(unsigned long entry, void *arg);

#endif /* _POWERPC_MM_MM_IOMMU_KUNIT_H */
