// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's maple tree as an index of regions, for comparison.
 */
#include <stdlib.h>
#include <string.h>

#include "shared.h"
#include "linux/init.h"
#include "maple_tree.c"
#include "bench.h"

struct kmem_cache {
	unsigned int size;
	unsigned int align;
};

int preempt_count;

struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
				     unsigned int align, unsigned int flags,
				     void (*ctor)(void *))
{
	struct kmem_cache *cache = malloc(sizeof(*cache));

	cache->size = size;
	cache->align = align;
	return cache;
}

void *kmem_cache_alloc_lru(struct kmem_cache *cache, struct list_lru *lru,
			   int flags)
{
	void *p = NULL;

	if (!posix_memalign(&p, cache->align, cache->size))
		memset(p, 0, cache->size);
	return p;
}

void kmem_cache_free(struct kmem_cache *cache, void *p)
{
	free(p);
}

int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t n,
			  void **list)
{
	size_t i;

	for (i = 0; i < n; i++)
		list[i] = kmem_cache_alloc(cache, gfp);
	return n;
}

void kmem_cache_free_bulk(struct kmem_cache *cache, size_t n, void **list)
{
	while (n--)
		free(list[n]);
}

static DEFINE_MTREE(tree);

void bench_maple_insert(unsigned long first, unsigned long last, void *entry)
{
	static bool is_init;

	if (!is_init)
		maple_tree_init();
	is_init = true;
	if (mtree_insert_range(&tree, first, last, entry, GFP_KERNEL))
		abort();
}

void *bench_maple_find(unsigned long index)
{
	return mtree_load(&tree, index);
}
