/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Driver for the DMA engine of QEMU's edu device (1234:11e8).
 *
 * The device has a buffer of 4096 bytes. One transfer moves up to EDU_DMA_MAX
 * bytes between a DMA address and the buffer. The contents of the buffer can
 * only be read by a transfer to memory.
 */
#ifndef SELFTESTS_VFIO_EDU_H
#define SELFTESTS_VFIO_EDU_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define EDU_DMA_MAX	2048

struct edu {
	int fd;
	void *bar;
	size_t bar_size;
	bool swap;
};

/* Returns 0, -ENODEV (not an edu device), or the errno of the failed step. */
int edu_open(struct edu *edu, int group_fd, const char *bdf);
/* The same with a device fd, which edu_close() closes, as does a failure. */
int edu_open_device(struct edu *edu, int fd);
void edu_close(struct edu *edu);

/*
 * Return 0, -ETIMEDOUT if the engine did not finish, or -EIO without a
 * response.
 */
int edu_dma_to_device(struct edu *edu, __u64 iova, size_t off, size_t len);
int edu_dma_from_device(struct edu *edu, __u64 iova, size_t off, size_t len);
int edu_memcpy(struct edu *edu, __u64 dst, __u64 src, size_t len);

/* Starts a transfer; edu_wait() waits for it. */
int edu_start_from_device(struct edu *edu, __u64 iova, size_t off, size_t len);
int edu_wait(struct edu *edu);

/* Raises an interrupt, an MSI where it is enabled, and acknowledges it. */
void edu_interrupt(struct edu *edu);

#endif
