/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions for user space with the same semantics as in the kernel.
 */
#ifndef _MM_IOMMU_SHIM_DUP_H
#define _MM_IOMMU_SHIM_DUP_H

#ifndef PAGE_SHIFT
#define PAGE_SHIFT		16
#endif
#define PAGE_SIZE		BIT(PAGE_SHIFT)

/*
 * Relaxed atomics have the kernel's semantics, and TSAN understands them. But
 * reads through a pointer that was just read must be ordered after that read.
 */
#undef READ_ONCE
#define READ_ONCE(x)							\
	(shim_loads++, __atomic_load_n(&(x), __ATOMIC_CONSUME))
#undef WRITE_ONCE
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)

/*
 * Those of tools/include require equal types, the kernel's require equal signs.
 */
#define shim_signed(x)		((typeof(x))-1 < (typeof(x))1)
#define shim_select(x, op, y) ({					\
	__auto_type __x = (x);						\
	__auto_type __y = (y);						\
	BUILD_BUG_ON(shim_signed(__x) != shim_signed(__y));		\
	__x op __y ? __x : __y; })

#undef min
#define min(x, y)		shim_select(x, <, y)
#undef max
#define max(x, y)		shim_select(x, >, y)

#define IS_ALIGNED(x, a)	(!((x) & ((typeof(x))(a) - 1)))
#define ALIGN_DOWN(x, a)	((x) & ~((typeof(x))(a) - 1))

static inline long atomic_long_read(const atomic_long_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline void atomic_long_set(atomic_long_t *v, long i)
{
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);
}

static inline bool atomic_long_try_cmpxchg(atomic_long_t *v, long *old,
					   long new)
{
	return __atomic_compare_exchange_n(&v->counter, old, new, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static inline bool atomic_long_try_cmpxchg_relaxed(atomic_long_t *v, long *old,
						   long new)
{
	return __atomic_compare_exchange_n(&v->counter, old, new, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static inline void atomic_long_add(long i, atomic_long_t *v)
{
	__atomic_add_fetch(&v->counter, i, __ATOMIC_RELAXED);
}

static inline long atomic_long_sub_return_release(long i, atomic_long_t *v)
{
	return __atomic_sub_fetch(&v->counter, i, __ATOMIC_ACQ_REL);
}

static inline int atomic_read(const atomic_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline void atomic_add(int i, atomic_t *v)
{
	__atomic_add_fetch(&v->counter, i, __ATOMIC_RELAXED);
}

#define atomic_inc(v)		atomic_add(1, v)
#define atomic_dec(v)		atomic_add(-1, v)

/* pairs with the barriers of the code under test */
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)

#undef smp_load_acquire
/* likewise */
#define smp_load_acquire(p) ({						\
	typeof(p) __p = (p);						\
	__atomic_load_n(__p, __ATOMIC_ACQUIRE); })

#undef cmpxchg
#define cmpxchg(p, old, new) ({						\
	typeof(p) __p = (p);						\
	typeof(*__p) __old = (old);					\
	__atomic_compare_exchange_n(__p, &__old, new, false,		\
				    __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE); \
	__old; })

#undef xchg
#define xchg(p, v)		__atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)

static inline unsigned int order_base_2(unsigned long n)
{
	return n > 1 ? ilog2(n - 1) + 1 : 0;
}

static inline size_t size_add(size_t a, size_t b)
{
	size_t sum;

	return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

#endif /* _MM_IOMMU_SHIM_DUP_H */
