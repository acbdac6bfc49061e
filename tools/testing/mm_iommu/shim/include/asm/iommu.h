/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Members of the TCE table that its view uses.
 */
#ifndef _MM_IOMMU_SHIM_ASM_IOMMU_H
#define _MM_IOMMU_SHIM_ASM_IOMMU_H

#include <asm/iommu_tce.h>

struct iommu_tce_view;

struct iommu_table {
	unsigned long it_offset;
	unsigned long it_size;
	struct iommu_tce_view *it_view;
};

#endif /* _MM_IOMMU_SHIM_ASM_IOMMU_H */
