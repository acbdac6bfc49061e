// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel memory allocators for a program: they count, and fail on request.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <asm/iommu_tce.h>

#include "../mm_iommu_internal.h"

/* Limit of the page allocator of a powerpc kernel. */
#define KMALLOC_MAX_SIZE	(PAGE_SHIFT == 12 ? SZ_4M : SZ_16M)

struct shim_slab shim_slab;
__thread unsigned int shim_cpu;
__thread bool shim_irqs_off;
__thread char shim_self;
__thread unsigned long shim_va_calls;
__thread unsigned long shim_loads;

struct mm_struct *shim_reaped;
void (*shim_allocating)(void);

/* Its users only need to know that it was called. */
void mm_iommu_reap(struct mm_struct *mm)
{
	shim_reaped = mm;
}

void shim_die(const char *file, int line, const char *cond)
{
	printf("Bail out! %s:%d: not true: %s\n", file, line, cond);
	fflush(stdout);
	abort();
}

/* Fails the @nth allocation from now on, and all that follow if @on. */
void shim_slab_fail(unsigned long nth, bool on)
{
	shim_slab.calls = 0;
	shim_slab.fail_nth = nth;
	shim_slab.fail_on = on;
}

static bool slab_fails(size_t size, gfp_t gfp)
{
	unsigned long nth = shim_slab.fail_nth;
	unsigned long call = __atomic_add_fetch(&shim_slab.calls, 1,
						__ATOMIC_RELAXED);

	if (size > KMALLOC_MAX_SIZE) {
		/* the kernel would warn */
		shim_assert(gfp & __GFP_NOWARN);
		return true;
	}
	if (size > __atomic_load_n(&shim_slab.largest, __ATOMIC_RELAXED))
		__atomic_store_n(&shim_slab.largest, size, __ATOMIC_RELAXED);
	return nth && (call == nth || (call > nth && shim_slab.fail_on));
}

void *kzalloc(size_t size, gfp_t gfp)
{
	/* the largest power of two that divides the size, and no more */
	size_t align = size & -size;
	void (*hook)(void) = shim_allocating;
	void *p;

	might_sleep();
	if (hook) {
		shim_allocating = NULL;
		hook();
	}
	if (slab_fails(size, gfp))
		return NULL;

	if (posix_memalign(&p, max(align, sizeof(void *)), size))
		shim_die(__FILE__, __LINE__, "no memory for the test");
	memset(p, 0, size);
	__atomic_add_fetch(&shim_slab.objects, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&shim_slab.bytes, malloc_usable_size(p),
			   __ATOMIC_RELAXED);
	return p;
}

void *kcalloc(size_t n, size_t size, gfp_t gfp)
{
	return kzalloc(array_size(n, size), gfp);
}

size_t ksize(const void *p)
{
	return malloc_usable_size((void *)p);
}

void kfree(const void *p)
{
	if (!p)
		return;

	__atomic_sub_fetch(&shim_slab.objects, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&shim_slab.bytes, malloc_usable_size((void *)p),
			   __ATOMIC_RELAXED);
	free((void *)p);
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     size_t align, unsigned int flags,
				     void (*ctor)(void *))
{
	/* created before the first test, and never destroyed */
	static struct kmem_cache cache;

	shim_assert(!cache.size);
	cache.size = size;
	return &cache;
}

void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t gfp)
{
	return kzalloc(cache->size, gfp);
}

void kmem_cache_free(struct kmem_cache *cache, void *p)
{
	kfree(p);
}
