/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names that the private header of the registry needs, but the code under test
 * does not use.
 */
#ifndef _MM_IOMMU_SHIM_STUBS_H
#define _MM_IOMMU_SHIM_STUBS_H

#include <linux/export.h>
#include <linux/kprobes.h>

struct mm_iommu;

struct mm_struct {
	struct {
		struct mm_iommu *mm_iommu;
	} context;
	unsigned long locked_vm;
	unsigned int count;
};

#define mmgrab(mm)		((mm)->count++)
#define mmdrop(mm)		((mm)->count--)

#define account_locked_vm(mm, npages, inc)				\
	((mm)->locked_vm += ((inc) ? 1 : -1) * (long)(npages))

struct shim_refcount {
	unsigned int refs;
};

#define refcount_t		struct shim_refcount

struct completion {
	unsigned int done;
};

/* Called before main(), as in the kernel before the first process. */
#define subsys_initcall(fn)						\
	static void __attribute__((constructor)) shim_##fn(void)	\
	{								\
		fn();							\
	}								\
	struct mm_struct

#define WARN_ON_ONCE(cond)	shim_assert(!(cond))

#endif /* _MM_IOMMU_SHIM_STUBS_H */
