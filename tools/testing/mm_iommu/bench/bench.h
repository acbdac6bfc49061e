/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_IOMMU_BENCH_H
#define _MM_IOMMU_BENCH_H

struct candidate;
struct mm_iommu_region;

/* Not static, so that a tool finds them by name. */
extern void *bench_sink;
void bench_insert(const struct candidate *c, struct mm_iommu_region *region);
struct mm_iommu_trans;
void bench_enter(struct mm_iommu_trans *trans, unsigned long bytes,
		 unsigned int shift);
void bench_finish(struct mm_iommu_trans *trans);
void bench_find(void *(*find)(unsigned long), const unsigned long *ua,
		unsigned long n);

void bench_maple_insert(unsigned long first, unsigned long last, void *entry);
void *bench_maple_find(unsigned long index);

#endif /* _MM_IOMMU_BENCH_H */
