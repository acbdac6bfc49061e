/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Extensions of the kselftest harness for the test programs: the calls in forms
 * that assert, the fixture of one container, and skips.
 */
#ifndef SELFTESTS_VFIO_SPAPR_TEST_H
#define SELFTESTS_VFIO_SPAPR_TEST_H

#include <time.h>

#include "../../kselftest_harness.h"
#include "libspapr.h"

/* Seconds that each test of a program may take, if not 30. */
#ifdef TEST_SECONDS
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	TEST_SECONDS
#endif

#define KIB		1024UL
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)

/*
 * The call must fail with exactly this errno; a positive result is wrong too.
 */
#define EXPECT_ERRNO(err, call)		EXPECT_EQ(-(err), call)
#define ASSERT_ERRNO(err, call)		ASSERT_EQ(-(err), call)

/* Calls that must succeed for the test to continue. */
#define spapr_open(...)		ASSERT_EQ(0, __spapr_open(__VA_ARGS__))
#define spapr_open_with(...)	ASSERT_EQ(0, __spapr_open_with(__VA_ARGS__))
#define spapr_attach(...)	ASSERT_EQ(0, __spapr_attach(__VA_ARGS__))
#define spapr_detach(...)	ASSERT_EQ(0, __spapr_detach(__VA_ARGS__))
#define spapr_register(...)	ASSERT_EQ(0, __spapr_register(__VA_ARGS__))
#define spapr_unregister(...)	ASSERT_EQ(0, __spapr_unregister(__VA_ARGS__))
#define spapr_map(...)		ASSERT_EQ(0, __spapr_map(__VA_ARGS__))
#define spapr_unmap(...)	ASSERT_EQ(0, __spapr_unmap(__VA_ARGS__))
#define spapr_info(...)		ASSERT_EQ(0, __spapr_info(__VA_ARGS__))
#define spapr_create(...)	ASSERT_EQ(0, __spapr_create(__VA_ARGS__))
#define spapr_remove(...)	ASSERT_EQ(0, __spapr_remove(__VA_ARGS__))
#define spapr_enable(...)	ASSERT_EQ(0, __spapr_enable(__VA_ARGS__))
#define spapr_disable(...)	ASSERT_EQ(0, __spapr_disable(__VA_ARGS__))

#define NEED_DEVICES(statement, n) do {					\
	unsigned int __n = (n), __have = spapr_nr_devices();		\
									\
	if (geteuid() || __have < __n)					\
		SKIP(statement, NEED_DEVICES_TEXT, __n, __have);	\
} while (0)

#define NEED_DEVICES_TEXT						\
	"needs root and %u device(s) of different IOMMU groups, has %u; " \
	"how to bind one: " SPAPR_HOW_TO_BIND

/* Skips on the base kernel, which may not survive it, but not on its fixes. */
#define NEEDS_FIXES(statement) do {					\
	if (!spapr_has_fixes())						\
		SKIP(statement, "not run without the fixes");		\
} while (0)

/* Skips on the base kernel, which may crash. */
#define NOT_ON_STOCK(statement) do {					\
	if (spapr_on_stock())						\
		SKIP(statement, "not run on a stock kernel");		\
} while (0)

/* Locked bytes and pinned pages since @base was recorded. */
#define EXPECT_ACCOUNT(base, locked_bytes, pinned_pages) do {		\
	struct spapr_account __a = *(base);				\
									\
	__a.locked += (long)(locked_bytes);				\
	__a.pins += (long)(pinned_pages);				\
	EXPECT_EQ(__a.locked, spapr_locked());				\
	EXPECT_EQ(__a.pins, spapr_pins_settle(__a.pins));		\
} while (0)

/*
 * Runs @body in a forked child and expects it to return true there. The child
 * exits without closing or freeing anything explicitly.
 */
#define EXPECT_IN_CHILD(body) do {					\
	int __status = -1;						\
	pid_t __pid = fork();						\
									\
	ASSERT_GE(__pid, 0);						\
	if (!__pid)							\
		_exit((body) ? 0 : 1);					\
	ASSERT_EQ(__pid, waitpid(__pid, &__status, 0));			\
	EXPECT_EQ(0, __status);						\
} while (0)

/* Seed of random tests: printed, and settable by this variable. */
#define SEED_VARIABLE	"VFIO_TEST_SEED"

#define test_seed() ({							\
	const char *__text = getenv(SEED_VARIABLE);			\
	unsigned int __seed = __text ? strtol(__text, NULL, 0) :	\
				       time(NULL) ^ getpid();		\
									\
	TH_LOG("again with " SEED_VARIABLE "=%u", __seed);		\
	__seed;								\
})

/* Random permutation of the numbers from 0 to @n - 1. */
static inline void shuffle(unsigned int *order, unsigned int n,
			   unsigned int *seed)
{
	unsigned int i, j;

	for (i = 0; i < n; i++) {
		j = rand_r(seed) % (i + 1);
		order[i] = order[j];
		order[j] = i;
	}
}

/* Fills memory with bytes that depend on @seed and on the offset. */
static inline void fill(void *mem, size_t len, unsigned int seed)
{
	unsigned char *byte = mem;
	size_t i;

	for (i = 0; i < len; i++)
		byte[i] = seed * 37 + i * 7 + (i >> 8);
}

static inline bool is_filled(const void *mem, size_t len, unsigned int seed)
{
	const unsigned char *byte = mem;
	size_t i;

	for (i = 0; i < len; i++)
		if (byte[i] != (unsigned char)(seed * 37 + i * 7 + (i >> 8)))
			return false;
	return true;
}

/* A hypervisor owns the tables: the number of levels is only a hint. */
static inline bool
levels_are_a_hint(const struct vfio_iommu_spapr_tce_info *info)
{
	return info->ddw.levels <= 1;
}

/* Largest IOMMU page size that ordinary memory always supports. */
static inline __u32 iommu_shift(const struct vfio_iommu_spapr_tce_info *info)
{
	__u32 shift = spapr_page_shift();

	while (shift > 12 && !(info->ddw.pgsizes & (1ULL << shift)))
		shift--;
	return shift;
}

#endif
