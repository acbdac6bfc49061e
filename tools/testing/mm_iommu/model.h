/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Expected contents of a translation: a list of runs, and an array with the
 * address of each page.
 */
#ifndef _MM_IOMMU_MODEL_H
#define _MM_IOMMU_MODEL_H

#include "test.h"
#include "../../../arch/powerpc/mm/mm_iommu.h"

/*
 * In the model the read-only mark is a bit of the host address, above all
 * addresses of a machine: memory of different marks is never one block.
 */
#define MODEL_READONLY	MM_IOMMU_READONLY

/* Fully contiguous memory is one block of this order. */
#define MODEL_MAX_ORDER	54

/* Physically contiguous memory, as found by the thread that pins. */
struct run {
	unsigned long ua;
	unsigned long hpa;
	unsigned long len;
};

/* A region: the runs of its memory, in ascending order. */
struct layout {
	unsigned long ua;
	unsigned long end;
	struct run *runs;
	unsigned int nr;
	unsigned int max;
};

void layout_init(struct layout *l, unsigned long ua);
void layout_add(struct layout *l, unsigned long hpa, unsigned long len);
void layout_free(struct layout *l);
void layout_random(struct layout *l, struct rng *rng, unsigned long ua,
		   unsigned long bytes);
unsigned long layout_hpa(const struct layout *l, unsigned long ua);

/*
 * struct pages - the same by page, for regions that are not too large
 * @hpa: address of each page
 * @left: number of contiguous pages with the same marks, from this one on
 * @first: first of the contiguous pages up to this one
 * @order: log2 of the size of the block that contains the page
 * @dirty: pages marked, in the model
 */
struct pages {
	unsigned long ua;
	unsigned long nr;
	unsigned long *hpa;
	unsigned long *left;
	unsigned long *first;
	unsigned char *order;
	bool *dirty;
};

void pages_init(struct pages *p, const struct layout *l);
void pages_free(struct pages *p);
void pages_mark_dirty(struct pages *p, unsigned long ua, unsigned long size);

int trans_enter(struct mm_iommu_trans *trans, const struct layout *l,
		unsigned long step, unsigned long *end);
void trans_mark(struct mm_iommu_trans *trans, struct pages *p,
		unsigned long ua);
void trans_check_pages(struct mm_iommu_trans *trans, const struct pages *p,
		       unsigned long nr, struct rng *rng);
void trans_check_fill(struct mm_iommu_trans *trans,
		      const struct pages *p, struct rng *rng);
void trans_check_runs(const struct mm_iommu_trans *trans,
		      const struct layout *l, struct rng *rng);
void trans_check_dirty(const struct mm_iommu_trans *trans,
		       const struct pages *p);

#endif /* _MM_IOMMU_MODEL_H */
