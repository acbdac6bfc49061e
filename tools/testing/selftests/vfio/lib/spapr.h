/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTESTS_VFIO_LIB_SPAPR_H
#define SELFTESTS_VFIO_LIB_SPAPR_H

#include <libvfio/iommu.h>
#include <linux/iommufd.h>

/* @fd is that of a container. Return 0, or the errno of the ioctl that failed. */
int spapr_map(int fd, struct dma_region *region);
int spapr_unmap(int fd, struct dma_region *region, u64 *unmapped);
int spapr_unmap_all(struct iommu *iommu, u64 *unmapped);

struct iommu_iova_range *spapr_iova_ranges(int fd, u32 *nranges);

#endif
