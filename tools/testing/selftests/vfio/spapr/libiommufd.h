/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls of /dev/iommu and of a device's cdev, one function each, for QEMU's edu
 * device. They return 0 or the negative errno.
 */
#ifndef SELFTESTS_VFIO_LIBIOMMUFD_H
#define SELFTESTS_VFIO_LIBIOMMUFD_H

#include <linux/iommufd.h>

#include "edu.h"

#define TEST_SECONDS	300	/* only to end a test that hangs */
#define CHUNK		0x10000UL	/* multiple of any page size */
#define WINDOW64	0x800000000000000ULL
#define LOW		0x100000ULL
#define HIGH		(WINDOW64 + 0x200000ULL)

/* A device and its id in an iommufd. */
struct device {
	__u32 id;
	struct edu edu;
};

int ioas_alloc(int fd, __u32 *id);
int ioas_map(int fd, __u32 ioas, __u64 iova, const void *va, __u64 len);
int ioas_unmap(int fd, __u32 ioas, __u64 iova, __u64 len);
int hwpt_alloc(int fd, __u32 dev, __u32 ioas, __u32 *id);
int iommufd_destroy(int fd, __u32 id);

/* The cdev of a device. */
int open_cdev(const char *bdf);
int bind_fd(int fd, int iommufd, __u32 *id);
/* Opens a device and binds it; it cannot reach any memory yet. */
int open_device(struct device *dev, const char *bdf, int iommufd);
/* Attaches an IOAS or a HWPT, in place of the current one. */
int attach(struct device *dev, __u32 pt);
int detach(struct device *dev);

/*
 * The device reads at @src and writes to @dst; the result is checked in memory.
 */
#define EXPECT_COPIED(dev, dst, src, mem, seed) do {			\
	EXPECT_EQ(0, edu_memcpy(&(dev)->edu, dst, src, EDU_DMA_MAX));	\
	EXPECT_TRUE(is_filled(mem, EDU_DMA_MAX, seed));			\
} while (0)

/* The device writes to @iova, and the memory does not change. */
#define EXPECT_NOT_WRITTEN(dev, iova, mem) do {				\
	char *__mem = (mem);						\
									\
	fill(__mem, EDU_DMA_MAX, 99);					\
	EXPECT_EQ(0, edu_dma_from_device(&(dev)->edu, iova, 0,		\
					 EDU_DMA_MAX));			\
	EXPECT_TRUE(is_filled(__mem, EDU_DMA_MAX, 99));			\
} while (0)

#endif
