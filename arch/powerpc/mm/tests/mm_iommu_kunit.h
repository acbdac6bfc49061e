/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the KUnit suites of the registry of DMA memory have in common.
 */
#ifndef _POWERPC_MM_MM_IOMMU_KUNIT_H
#define _POWERPC_MM_MM_IOMMU_KUNIT_H

#include <kunit/test.h>

#include "../mm_iommu.h"

/* Aligned for every node, and far from where the tests map memory. */
#define KUNIT_UA	BIT(40)
#define KUNIT_HPA	BIT(44)

/**
 * struct mm_iommu_kunit - what every test has in test->priv
 * @mm: an mm of its own, which its thread uses
 * @instead: pins take the page at this address, if there is one, and not the
 *	one that is asked for
 * @from: the same for each page of the region at @from_ua: the address of the
 *	page that is taken in its place
 * @calls: calls of mm_iommu_pin_user() so far
 * @fail_at: the first of them that fails, counted from 1; 0 for none
 * @fail_calls: how many fail from there on
 * @fail_with: what these return
 * @at_most: pages that one call pins, where not 0
 * @kill_at: the call in which the thread is killed; 0 for none
 * @refusal: why the last registration that failed did so
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
 * struct mm_iommu_kunit_layout - memory as user and host addresses see it
 * @name: for people
 * @offset: where the region starts, from an address aligned for all nodes
 * @size: bytes
 * @run: bytes that are contiguous and aligned in both addresses, as folios are
 * @gap: bytes between two runs, in host addresses
 * @skew: host addresses are so far from that alignment
 * @broken: offset of one page that is elsewhere, or 0
 * @mixed: every other 2M are single pages
 * @order: log2 of the size of the smallest block, or 0 for any
 * @bytes: what the translation takes at most
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

/* Calls @fn with @data in one of the two modes of the MMU. */
typedef unsigned long (*mm_iommu_kunit_call)(unsigned long (*fn)(void *data),
					     void *data);

void mm_iommu_kunit_need_real_mode(struct kunit *test);
unsigned long mm_iommu_kunit_virtual_mode(unsigned long (*fn)(void *data),
					  void *data);
unsigned long mm_iommu_kunit_real_mode(unsigned long (*fn)(void *data),
				       void *data);
unsigned long mm_iommu_kunit_mmu_off(unsigned long entry, void *arg);

#endif /* _POWERPC_MM_MM_IOMMU_KUNIT_H */
