/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the view of a TCE table needs to know of where memory comes from: its name.
 */
#ifndef _MM_IOMMU_SHIM_ASM_IOMMU_TCE_H
#define _MM_IOMMU_SHIM_ASM_IOMMU_TCE_H

struct iommu_tce_backing {
	int nothing;
};


#endif /* _MM_IOMMU_SHIM_ASM_IOMMU_TCE_H */
