/* SPDX-License-Identifier: GPL-2.0 */
/* Permissions of a TCE: the file of the kernel needs a kernel. */
#ifndef _MM_IOMMU_SHIM_ASM_TCE_H
#define _MM_IOMMU_SHIM_ASM_TCE_H

#define TCE_PCI_WRITE		0x2
#define TCE_PCI_READ		0x1

#endif /* _MM_IOMMU_SHIM_ASM_TCE_H */
