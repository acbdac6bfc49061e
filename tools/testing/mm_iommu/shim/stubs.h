/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the private header of the registry names and the code under test does
 * not use.
 */
#ifndef _MM_IOMMU_SHIM_STUBS_H
#define _MM_IOMMU_SHIM_STUBS_H

struct mm_struct;

struct shim_refcount {
	unsigned int refs;
};

#define refcount_t		struct shim_refcount

struct completion {
	unsigned int done;
};

struct rcu_work {
	unsigned int pending;
};

#endif /* _MM_IOMMU_SHIM_STUBS_H */
