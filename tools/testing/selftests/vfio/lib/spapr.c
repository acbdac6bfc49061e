// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sPAPR TCE IOMMU, version 2: memory is registered before it is mapped, and
 * IOVAs are those of DMA windows.
 */
#include <stdlib.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include <linux/errno.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/vfio.h>

#include <libvfio.h>

#include "spapr.h"

static int spapr_check(struct dma_region *region)
{
	iova_t last;

	if (!region->size ||
	    check_add_overflow(region->iova, region->size - 1, &last))
		return -EOVERFLOW;

	return 0;
}

static int spapr_register(int fd, struct dma_region *region, unsigned long op)
{
	struct vfio_iommu_spapr_register_memory args = {
		.argsz = sizeof(args),
		.vaddr = (u64)region->vaddr,
		.size = region->size,
	};

	return ioctl(fd, op, &args) ? -errno : 0;
}

int spapr_map(int fd, struct dma_region *region)
{
	struct vfio_iommu_type1_dma_map args = {
		.argsz = sizeof(args),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (u64)region->vaddr,
		.iova = region->iova,
		.size = region->size,
	};
	int ret;

	ret = spapr_check(region);
	if (ret)
		return ret;

	ret = spapr_register(fd, region, VFIO_IOMMU_SPAPR_REGISTER_MEMORY);
	if (ret)
		return ret;

	if (ioctl(fd, VFIO_IOMMU_MAP_DMA, &args)) {
		ret = -errno;
		spapr_register(fd, region, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY);
	}

	return ret;
}

int spapr_unmap(int fd, struct dma_region *region, u64 *unmapped)
{
	struct vfio_iommu_type1_dma_unmap args = {
		.argsz = sizeof(args),
		.iova = region->iova,
		.size = region->size,
	};
	int ret;

	ret = spapr_check(region);
	if (ret)
		return ret;

	if (ioctl(fd, VFIO_IOMMU_UNMAP_DMA, &args))
		return -errno;

	if (unmapped)
		*unmapped = args.size;

	return spapr_register(fd, region, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY);
}

int spapr_unmap_all(struct iommu *iommu, u64 *unmapped)
{
	struct dma_region *region;
	u64 size, all = 0;
	int ret;

	list_for_each_entry(region, &iommu->dma_regions, link) {
		ret = spapr_unmap(iommu->container_fd, region, &size);
		if (ret)
			return ret;
		all += size;
	}

	if (unmapped)
		*unmapped = all;

	return 0;
}

/* Creates the second window, where the platform can have one. */
static bool spapr_create_window(int fd, struct vfio_iommu_spapr_tce_info *info,
				struct iommu_iova_range *range)
{
	struct vfio_iommu_spapr_tce_create args = {
		.argsz = sizeof(args),
		.page_shift = __builtin_ctz(getpagesize()),
		.window_size = 16 * (u64)SZ_1G,
		.levels = info->ddw.levels > 1 ? 2 : 1,
	};

	if (!(info->flags & VFIO_IOMMU_SPAPR_INFO_DDW) ||
	    !(info->ddw.pgsizes & getpagesize()))
		return false;

	ioctl_assert(fd, VFIO_IOMMU_SPAPR_TCE_CREATE, &args);

	range->start = args.start_addr;
	range->last = args.start_addr + args.window_size - 1;
	return true;
}

/* Return the windows. Free with free(). */
struct iommu_iova_range *spapr_iova_ranges(int fd, u32 *nranges)
{
	struct vfio_iommu_spapr_tce_info info = { .argsz = sizeof(info) };
	struct iommu_iova_range *ranges = calloc_assert(2, sizeof(*ranges));

	ioctl_assert(fd, VFIO_IOMMU_SPAPR_TCE_GET_INFO, &info);

	ranges[0].start = info.dma32_window_start;
	ranges[0].last = (u64)info.dma32_window_start +
			 info.dma32_window_size - 1;

	*nranges = spapr_create_window(fd, &info, &ranges[1]) ? 2 : 1;
	return ranges;
}
