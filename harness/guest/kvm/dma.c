// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "dma.h"

#define BYTES	4096UL

/* The default window is there from its first use on. */
static int use_window(struct dma *d)
{
	size_t page = spapr_page_size();
	int ret = __spapr_map(d->s.fd, d->window, d->mem, page, SPAPR_RW);

	return ret ? : __spapr_unmap(d->s.fd, d->window, page);
}

/* Version 2, or version 1 where that is refused, as QEMU does. */
static int open_container(struct dma *d, unsigned int n)
{
	int ret = __spapr_open_with(&d->s, VFIO_SPAPR_TCE_v2_IOMMU, n);

	d->v1 = ret == -EINVAL;
	return d->v1 ? __spapr_open_with(&d->s, VFIO_SPAPR_TCE_IOMMU, n) : ret;
}

static int prepare_memory(struct dma *d)
{
	d->mem = spapr_mem(d->size);
	if (!d->mem)
		return -ENOMEM;
	return d->v1 ? __spapr_enable(d->s.fd) :
		       __spapr_register(d->s.fd, d->mem, d->size);
}

int dma_open(struct dma *d, unsigned int n, size_t size)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret;

	*d = (struct dma){ .size = size, .edu.fd = -1, .edu.bar = MAP_FAILED };
	ret = open_container(d, n);
	if (ret)
		return ret;
	ret = __spapr_info(d->s.fd, &info);
	d->window = info.dma32_window_start;
	if (!ret)
		ret = prepare_memory(d);
	if (!ret)
		ret = use_window(d);
	if (!ret)
		ret = edu_open(&d->edu, d->s.group[n], spapr_bdf(n));
	if (ret)
		dma_close(d);
	return ret;
}

void dma_close(struct dma *d)
{
	edu_close(&d->edu);
	spapr_close(&d->s);
	if (d->mem)
		munmap(d->mem, d->size);
	d->mem = NULL;
}

int dma_map(struct dma *d)
{
	size_t page = spapr_page_size(), at;
	int ret = 0;

	for (at = 0; !ret && at < d->size; at += page)
		ret = __spapr_map(d->s.fd, d->window + at, d->mem + at, page,
				  SPAPR_RW);
	return ret;
}

int dma_unmap(struct dma *d)
{
	size_t page = spapr_page_size(), at;
	int ret = 0;

	for (at = 0; !ret && at < d->size; at += page)
		ret = __spapr_unmap(d->s.fd, d->window + at, page);
	return ret;
}

int dma_copy(struct dma *d, char seed)
{
	char *from = d->mem, *to = d->mem + d->size / 2;
	unsigned long i;
	int ret;

	for (i = 0; i < BYTES; i++)
		from[i] = seed + i * 13 + (i >> 8);
	memset(to, 0, BYTES);
	ret = edu_memcpy(&d->edu, d->window + d->size / 2, d->window, BYTES);
	if (ret)
		return ret;
	return memcmp(from, to, BYTES) ? -EBADMSG : (int)BYTES;
}
