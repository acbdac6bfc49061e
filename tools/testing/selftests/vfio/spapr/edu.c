// SPDX-License-Identifier: GPL-2.0-only
/*
 * Driver for the DMA engine of QEMU's edu device, on a vfio-pci device fd.
 *
 * The registers have the byte order of the target that QEMU was built for,
 * big-endian for ppc64, independent of the guest: the identity register reveals
 * it.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "edu.h"

#define EDU_IDENTITY		0x00
#define  EDU_IDENTITY_VALUE	0x010000edU
#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_ACK		0x64
#define EDU_DMA_SRC		0x80
#define EDU_DMA_DST		0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98
#define  EDU_DMA_START		0x1
#define  EDU_DMA_TO_MEMORY	0x2
#define EDU_BUFFER		0x40000
#define EDU_BUFFER_SIZE		4096

/* A transfer takes 100 ms; an emulator may be slow. */
#define EDU_LIMIT_MS		30000

/* Single accesses, in program order and after preceding writes to memory. */
static __u32 edu_read32(struct edu *edu, size_t reg)
{
	__u32 v = __atomic_load_n((__u32 *)((char *)edu->bar + reg),
				  __ATOMIC_SEQ_CST);

	return edu->swap ? __builtin_bswap32(v) : v;
}

static void edu_write32(struct edu *edu, size_t reg, __u32 v)
{
	__atomic_store_n((__u32 *)((char *)edu->bar + reg),
			 edu->swap ? __builtin_bswap32(v) : v,
			 __ATOMIC_SEQ_CST);
}

static __u64 edu_read64(struct edu *edu, size_t reg)
{
	__u64 v = __atomic_load_n((__u64 *)((char *)edu->bar + reg),
				  __ATOMIC_SEQ_CST);

	return edu->swap ? __builtin_bswap64(v) : v;
}

static void edu_write64(struct edu *edu, size_t reg, __u64 v)
{
	__atomic_store_n((__u64 *)((char *)edu->bar + reg),
			 edu->swap ? __builtin_bswap64(v) : v,
			 __ATOMIC_SEQ_CST);
}

static int edu_enable(struct edu *edu)
{
	struct vfio_region_info config = {
		.argsz = sizeof(config),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	__u16 command;

	if (ioctl(edu->fd, VFIO_DEVICE_GET_REGION_INFO, &config))
		return -errno;
	if (pread(edu->fd, &command, sizeof(command),
		  config.offset + PCI_COMMAND) != sizeof(command))
		return -EIO;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(edu->fd, &command, sizeof(command),
		   config.offset + PCI_COMMAND) != sizeof(command))
		return -EIO;
	return 0;
}

static int edu_map_bar(struct edu *edu)
{
	struct vfio_region_info bar = {
		.argsz = sizeof(bar),
		.index = VFIO_PCI_BAR0_REGION_INDEX,
	};

	if (ioctl(edu->fd, VFIO_DEVICE_GET_REGION_INFO, &bar))
		return -errno;
	edu->bar = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			edu->fd, bar.offset);
	if (edu->bar == MAP_FAILED)
		return -errno;
	edu->bar_size = bar.size;
	return 0;
}

static int edu_identify(struct edu *edu)
{
	__u32 id;

	edu->swap = false;
	id = edu_read32(edu, EDU_IDENTITY);
	if (id == EDU_IDENTITY_VALUE)
		return 0;
	edu->swap = true;
	return __builtin_bswap32(id) == EDU_IDENTITY_VALUE ? 0 : -ENODEV;
}

int edu_open_device(struct edu *edu, int fd)
{
	int ret;

	*edu = (struct edu){ .fd = fd, .bar = MAP_FAILED };
	ret = edu_enable(edu);
	if (!ret)
		ret = edu_map_bar(edu);
	if (!ret)
		ret = edu_identify(edu);
	if (ret)
		edu_close(edu);
	return ret;
}

int edu_open(struct edu *edu, int group_fd, const char *bdf)
{
	int fd = ioctl(group_fd, VFIO_GROUP_GET_DEVICE_FD, bdf);

	*edu = (struct edu){ .fd = -1, .bar = MAP_FAILED };
	return fd < 0 ? -errno : edu_open_device(edu, fd);
}

void edu_close(struct edu *edu)
{
	if (edu->bar != MAP_FAILED)
		munmap(edu->bar, edu->bar_size);
	edu->bar = MAP_FAILED;
	if (edu->fd >= 0)
		close(edu->fd);
	edu->fd = -1;
}

/*
 * Returns the milliseconds since @last. Clocks of emulated processors may
 * differ, so that time jumps: impossible steps are ignored.
 */
static long step_ms(struct timespec *last)
{
	struct timespec now;
	long ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (now.tv_sec - last->tv_sec) * 1000 +
	     (now.tv_nsec - last->tv_nsec) / 1000000;
	if (!ms)
		return 0;
	*last = now;
	return ms > 0 && ms < EDU_LIMIT_MS / 2 ? ms : 0;
}

/* Completion is read from the device, not derived from time. */
int edu_wait(struct edu *edu)
{
	struct timespec last;
	long waited = 0;
	__u64 command;

	clock_gettime(CLOCK_MONOTONIC, &last);
	do {
		command = edu_read64(edu, EDU_DMA_COMMAND);
		if (command == ~0ULL)
			return -EIO;
		if (!(command & EDU_DMA_START))
			return 0;
		sched_yield();
		waited += step_ms(&last);
	} while (waited < EDU_LIMIT_MS);
	return -ETIMEDOUT;
}

static int edu_start(struct edu *edu, __u64 src, __u64 dst, size_t len,
		     __u64 direction)
{
	int ret = edu_wait(edu);

	if (ret)
		return ret;
	edu_write64(edu, EDU_DMA_SRC, src);
	edu_write64(edu, EDU_DMA_DST, dst);
	edu_write64(edu, EDU_DMA_COUNT, len);
	edu_write64(edu, EDU_DMA_COMMAND, EDU_DMA_START | direction);
	return 0;
}

static int edu_dma(struct edu *edu, __u64 src, __u64 dst, size_t len,
		   __u64 direction)
{
	int ret = edu_start(edu, src, dst, len, direction);

	return ret ? : edu_wait(edu);
}

static bool edu_fits(size_t off, size_t len)
{
	return len <= EDU_DMA_MAX && off < EDU_BUFFER_SIZE - len;
}

int edu_dma_to_device(struct edu *edu, __u64 iova, size_t off, size_t len)
{
	if (!edu_fits(off, len))
		return -EINVAL;
	return edu_dma(edu, iova, EDU_BUFFER + off, len, 0);
}

int edu_dma_from_device(struct edu *edu, __u64 iova, size_t off, size_t len)
{
	if (!edu_fits(off, len))
		return -EINVAL;
	return edu_dma(edu, EDU_BUFFER + off, iova, len, EDU_DMA_TO_MEMORY);
}

int edu_start_from_device(struct edu *edu, __u64 iova, size_t off, size_t len)
{
	if (!edu_fits(off, len))
		return -EINVAL;
	return edu_start(edu, EDU_BUFFER + off, iova, len, EDU_DMA_TO_MEMORY);
}

int edu_memcpy(struct edu *edu, __u64 dst, __u64 src, size_t len)
{
	size_t done = 0;
	int ret = 0;

	while (!ret && done < len) {
		size_t n = len - done < EDU_DMA_MAX ? len - done : EDU_DMA_MAX;

		ret = edu_dma_to_device(edu, src + done, 0, n);
		if (!ret)
			ret = edu_dma_from_device(edu, dst + done, 0, n);
		done += n;
	}
	return ret;
}

void edu_interrupt(struct edu *edu)
{
	edu_write32(edu, EDU_IRQ_RAISE, 1);
	edu_write32(edu, EDU_IRQ_ACK, 1);
}
