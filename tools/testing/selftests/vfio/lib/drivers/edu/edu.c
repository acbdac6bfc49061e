// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's edu device, which most emulated machines can have. By default it drops
 * the upper bits of each address: -device edu,dma_mask=0xffffffffffffffff
 */
#include <unistd.h>

#include <linux/errno.h>

#include <libvfio.h>

#include "../../../spapr/edu.h"

#define EDU_VENDOR_ID		0x1234
#define EDU_DEVICE_ID		0x11e8

/* A transfer takes 100 ms, and a copy is two of them. */
#define EDU_MEMCPY_MAX_COUNT	16

struct edu_state {
	struct edu edu;
	iova_t src;
	iova_t dst;
	u64 size;
	u64 count;
};

static struct edu_state *to_edu_state(struct vfio_pci_device *device)
{
	return device->driver.region.vaddr;
}

static int edu_probe(struct vfio_pci_device *device)
{
	if (!vfio_pci_device_match(device, EDU_VENDOR_ID, EDU_DEVICE_ID))
		return -EINVAL;

	return 0;
}

static void edu_init(struct vfio_pci_device *device)
{
	struct edu_state *state = to_edu_state(device);

	VFIO_ASSERT_GE(device->driver.region.size, sizeof(*state));
	VFIO_ASSERT_EQ(edu_open_device(&state->edu, dup(device->fd)), 0);

	vfio_pci_msi_enable(device, 0, 1);

	device->driver.msi = 0;
	device->driver.max_memcpy_size = EDU_DMA_MAX;
	device->driver.max_memcpy_count = EDU_MEMCPY_MAX_COUNT;
}

static void edu_remove(struct vfio_pci_device *device)
{
	vfio_pci_msi_disable(device);
	edu_close(&to_edu_state(device)->edu);
}

/* The device makes one transfer at a time: memcpy_wait() starts each. */
static void edu_memcpy_start(struct vfio_pci_device *device,
			     iova_t src, iova_t dst, u64 size, u64 count)
{
	struct edu_state *state = to_edu_state(device);

	state->src = src;
	state->dst = dst;
	state->size = size;
	state->count = count;
}

static int edu_memcpy_wait(struct vfio_pci_device *device)
{
	struct edu_state *state = to_edu_state(device);
	int ret = 0;

	for (; !ret && state->count; state->count--)
		ret = edu_memcpy(&state->edu, state->dst, state->src,
				 state->size);
	return ret;
}

static void edu_send_msi(struct vfio_pci_device *device)
{
	edu_interrupt(&to_edu_state(device)->edu);
}

const struct vfio_pci_driver_ops edu_ops = {
	.name = "edu",
	.probe = edu_probe,
	.init = edu_init,
	.remove = edu_remove,
	.memcpy_start = edu_memcpy_start,
	.memcpy_wait = edu_memcpy_wait,
	.send_msi = edu_send_msi,
};
