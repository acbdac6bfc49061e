/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Common to the test programs: checks, random numbers, settings, TAP.
 */
#ifndef _MM_IOMMU_TEST_H
#define _MM_IOMMU_TEST_H

#include "mm_iommu_internal.h"

/*
 * Ends the test, or the program if no test runs (in a thread, or the fuzzer).
 */
#define check(cond)							\
	do {								\
		if (!(cond))						\
			test_fail(__FILE__, __LINE__, #cond);		\
	} while (0)

void __noreturn test_fail(const char *file, int line, const char *cond);

struct rng {
	u64 state;
};

void rng_init(struct rng *rng, unsigned long seed);
u64 rng_next(struct rng *rng);

/* A number less than @n; @n must not be 0. */
static inline unsigned long rng_below(struct rng *rng, unsigned long n)
{
	return rng_next(rng) % n;
}

/*
 * struct test - one line of TAP
 * @name: property that holds if the test passes
 * @run: returns if it passes, with all allocations freed
 * @threads: the test starts threads; only such tests are run under TSAN
 */
struct test {
	const char *name;
	void (*run)(struct rng *rng);
	bool threads;
};

/* A number from the environment: SEED or STEPS. */
unsigned long setting(const char *name, unsigned long preset);
unsigned long steps(void);

void *test_alloc(size_t n, size_t size);
int test_main(const struct test *tests, unsigned int nr);

#endif /* _MM_IOMMU_TEST_H */
