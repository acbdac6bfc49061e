/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTESTS_VFIO_LIB_SPAPR_H
#define SELFTESTS_VFIO_LIB_SPAPR_H

#include <libvfio/iommu.h>
#include <linux/iommufd.h>

/*
 * @fd is that of a container. Return 0, or the errno of the ioctl that failed;
 * -EOVERFLOW for a range that wraps, as in other modes. Memory can be mapped
 * once, because it is registered once.
 */
int spapr_map(int fd, struct dma_region *region);
int spapr_unmap(int fd, struct dma_region *region, u64 *unmapped);
int spapr_unmap_all(struct iommu *iommu, u64 *unmapped);

/* Creates the second window; to be called once for a container. */
struct iommu_iova_range *spapr_iova_ranges(int fd, u32 *nranges);

#endif
