/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device with memory that it can reach, through VFIO: the same in the guest
 * and on the host. All calls give 0 or a negative errno.
 */
#ifndef HARNESS_KVM_DMA_H
#define HARNESS_KVM_DMA_H

#include <stddef.h>

#include "edu.h"
#include "libspapr.h"

struct dma {
	struct spapr s;
	struct edu edu;
	bool v1;
	char *mem;
	size_t size;
	__u64 window;
};

/*
 * The @n-th device, with @size bytes of memory that can be mapped, and a
 * window.
 */
int dma_open(struct dma *d, unsigned int n, size_t size);
void dma_close(struct dma *d);

/* Each page of the memory by a call of its own, as a driver does it. */
int dma_map(struct dma *d);
int dma_unmap(struct dma *d);

/*
 * Lets the device copy from the first half of the memory to the second one.
 * Returns the number of bytes, or -EBADMSG if the copy differs from the
 * original. Another @seed is other data.
 */
int dma_copy(struct dma *d, char seed);

#endif
