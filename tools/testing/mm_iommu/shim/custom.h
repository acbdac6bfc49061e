/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects that the tests observe or control: memory that runs out on request,
 * locks that know their owner, threads that act as CPUs.
 */
#ifndef _MM_IOMMU_SHIM_CUSTOM_H
#define _MM_IOMMU_SHIM_CUSTOM_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

/* Terminates the program with a message if @cond is false. */
#define shim_assert(cond)						\
	do {								\
		if (!(cond))						\
			shim_die(__FILE__, __LINE__, #cond);		\
	} while (0)

void __noreturn shim_die(const char *file, int line, const char *cond);

/* -- memory -------------------------------------------------------------- */

/*
 * struct shim_slab - counters and controls of kcalloc() and kzalloc()
 * @objects, @bytes: allocated and not freed
 * @largest: bytes of the largest allocation since the test set it to 0
 * @calls: allocations since the test set it to 0
 * @fail_nth: number of the call that fails, counted from 1; 0 for none
 * @fail_on: all later calls fail too
 */
struct shim_slab {
	unsigned long objects;
	unsigned long bytes;
	unsigned long largest;
	unsigned long calls;
	unsigned long fail_nth;
	bool fail_on;
};

extern struct shim_slab shim_slab;

/* Called once, before the next allocation, in the role of another thread. */
extern void (*shim_allocating)(void);

void shim_slab_fail(unsigned long nth, bool on);
void *kcalloc(size_t n, size_t size, gfp_t gfp);
void *kzalloc(size_t size, gfp_t gfp);
#define kzalloc_obj(p)	((typeof(p) *)kzalloc(sizeof(p), GFP_KERNEL))
void kfree(const void *p);
size_t ksize(const void *p);

/* A cache consists of its size only. */
struct kmem_cache {
	size_t size;
};

struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     size_t align, unsigned int flags,
				     void (*ctor)(void *));
void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t gfp);
void kmem_cache_free(struct kmem_cache *cache, void *p);

#define SLAB_PANIC			0

/*
 * Only the address of a page is used. As with SPARSEMEM, the struct page after
 * the last one of a buddy block may be the first one of any other block.
 */
struct page {
	char of[1UL << PAGE_SHIFT];
};

#define MAX_ORDER_NR_PAGES	(SZ_16M >> PAGE_SHIFT)
#define shim_page(hpa)		((struct page *)(((hpa) ^ SZ_16M) | 1))
#define page_to_phys(page)	(((unsigned long)(page) & ~1UL) ^ SZ_16M)
#define page_to_pfn(page)	(page_to_phys(page) >> PAGE_SHIFT)

/*
 * Linear map: an address that was not translated is invalid; translations
 * count.
 */
extern __thread unsigned long shim_va_calls;

/* Argument of the last mm_iommu_reap(). */
extern struct mm_struct *shim_reaped;

/* Number of READ_ONCE() calls. */
extern __thread unsigned long shim_loads;

#define SHIM_PAGE_OFFSET	BIT(53)
#define __pa(x)			((unsigned long)(x) ^ SHIM_PAGE_OFFSET)
#define __va(x)								\
	(shim_va_calls++, (void *)((unsigned long)(x) ^ SHIM_PAGE_OFFSET))

/* -- CPUs ---------------------------------------------------------------- */

extern __thread unsigned int shim_cpu;
extern __thread bool shim_irqs_off;

#define local_irq_save(flags)						\
	do {								\
		(flags) = shim_irqs_off;				\
		shim_irqs_off = true;					\
	} while (0)

#define local_irq_restore(flags)	(shim_irqs_off = (flags))

#define might_sleep()			shim_assert(!shim_irqs_off)
#define cond_resched()			might_sleep()

/* Only valid while the thread cannot migrate. */
static inline unsigned int raw_smp_processor_id(void)
{
	shim_assert(shim_irqs_off);
	return shim_cpu;
}

/* -- locks --------------------------------------------------------------- */

#define ____cacheline_aligned_in_smp	__aligned(128)
#define __ro_after_init

struct shim_spinlock {
	int locked;
};

#define arch_spinlock_t			struct shim_spinlock
#define __ARCH_SPIN_LOCK_UNLOCKED	{ 0 }

static inline void shim_spin_lock(struct shim_spinlock *lock)
{
	/* the holder may not be running: these CPUs are threads */
	while (__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

static inline void shim_spin_unlock(struct shim_spinlock *lock)
{
	shim_assert(__atomic_exchange_n(&lock->locked, 0, __ATOMIC_RELEASE));
}

static inline void arch_spin_lock(arch_spinlock_t *lock)
{
	shim_assert(shim_irqs_off);
	shim_spin_lock(lock);
}

static inline int arch_spin_trylock(arch_spinlock_t *lock)
{
	shim_assert(shim_irqs_off);
	if (!__atomic_exchange_n(&lock->locked, 1, __ATOMIC_ACQUIRE))
		return true;
	/* the next try may be on the CPU of the holder */
	sched_yield();
	return false;
}

static inline void arch_spin_unlock(arch_spinlock_t *lock)
{
	shim_assert(shim_irqs_off);
	shim_spin_unlock(lock);
}

#define cpu_relax()			do { } while (0)

#define raw_spinlock_t			struct shim_spinlock

static inline void raw_spin_lock_init(raw_spinlock_t *lock)
{
	lock->locked = 0;
}

#define raw_spin_lock(lock)	shim_spin_lock(lock)
#define raw_spin_unlock(lock)	shim_spin_unlock(lock)

struct mutex {
	pthread_mutex_t lock;
	const void *owner;
};

extern __thread char shim_self;

#define DEFINE_MUTEX(name) \
	struct mutex name = { PTHREAD_MUTEX_INITIALIZER }

static inline void mutex_init(struct mutex *m)
{
	pthread_mutex_init(&m->lock, NULL);
	m->owner = NULL;
}

static inline void mutex_lock(struct mutex *m)
{
	might_sleep();
	pthread_mutex_lock(&m->lock);
	__atomic_store_n(&m->owner, &shim_self, __ATOMIC_RELAXED);
}

static inline void mutex_unlock(struct mutex *m)
{
	__atomic_store_n(&m->owner, NULL, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&m->lock);
}

#define lockdep_assert_held(m)						\
	shim_assert(__atomic_load_n(&(m)->owner, __ATOMIC_RELAXED) ==	\
		    &shim_self)

#endif /* _MM_IOMMU_SHIM_CUSTOM_H */
