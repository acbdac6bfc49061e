/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the test programs share on top of the kselftest harness: the forms of
 * the calls that assert, the fixture of one container, and the skips.
 */
#ifndef SELFTESTS_VFIO_SPAPR_TEST_H
#define SELFTESTS_VFIO_SPAPR_TEST_H

#include "../kselftest_harness.h"
#include "libspapr.h"

#define KIB		1024UL
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)

/* The call must give exactly this errno; a positive result is wrong too. */
#define EXPECT_ERRNO(err, call)		EXPECT_EQ(-(err), call)
#define ASSERT_ERRNO(err, call)		ASSERT_EQ(-(err), call)

/* The calls that must succeed, or the test cannot go on. */
#define spapr_open(...)		ASSERT_EQ(0, __spapr_open(__VA_ARGS__))
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

#define NEED_DEVICES(n) do {						\
	if (geteuid())							\
		SKIP(return, "needs root: VFIO groups belong to it");	\
	if (spapr_nr_devices() < (n))					\
		SKIP(return, "needs %u device(s), each in an IOMMU group of its own; found %u. " \
		     "How to bind one: %s",				\
		     (unsigned int)(n), spapr_nr_devices(),		\
		     SPAPR_HOW_TO_BIND);				\
} while (0)

/* What a stock kernel does to the machine must not end the whole run. */
#define DANGEROUS_ON_STOCK(what) do {					\
	if (spapr_on_stock() && !spapr_dangerous())			\
		SKIP(return, "would %s a stock kernel; "		\
		     "VFIO_TEST_DANGEROUS=1 runs it", what);		\
} while (0)

/* Locked bytes and pinned pages since @base was taken. */
#define EXPECT_ACCOUNT(base, locked_bytes, pinned_pages) do {		\
	long __pins = (base)->pins + (long)(pinned_pages);		\
	EXPECT_EQ((base)->locked + (long)(locked_bytes), spapr_locked()); \
	EXPECT_EQ(__pins, spapr_pins_settle(__pins));			\
} while (0)

/*
 * Runs @body in a forked child and expects it to return true there. The
 * child leaves without closing or freeing anything of its own accord.
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

/* The largest IOMMU page that ordinary memory can always back. */
static inline uint32_t iommu_shift(const struct vfio_iommu_spapr_tce_info *info)
{
	uint32_t shift = spapr_page_shift();

	while (shift > 12 && !(info->ddw.pgsizes & (1ULL << shift)))
		shift--;
	return shift;
}

#endif
