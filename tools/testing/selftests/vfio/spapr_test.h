/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the test programs share on top of the kselftest harness: the forms of
 * the calls that assert, the fixture of one container, and the skips.
 *
 * Tests whose names begin with defect_N are about what was wrong in Linux
 * before. In the registry:
 *
 *  1. UNREGISTER of mapped memory answered 0 and lost the region, pinned for
 *     ever; REGISTER of the same range later found the old pages.
 *  2. REGISTER of mapped pages before a hole answered a positive number.
 *  3. A region with huge and other pages got a wrong page size, and alignment
 *     was not checked: one IOMMU page could reach memory of others.
 *  4. REGISTER of size 0 was a warning of the allocator.
 *  5. A region was used after its lookup while another thread freed it.
 *  6. Two processes could bind one container at the same time.
 *  7. Two containers that registered one range at the same time: one failed.
 *  8. A page that could not be moved just then made REGISTER fail.
 *  9. mmap_lock was held over all of REGISTER, and an overlap was found only
 *     when all was pinned.
 *
 * In the container and in the TCE tables:
 *
 * 10. MAP looked only for its first page in the window, and wrote past the
 *     end of the table.
 * 11. POWER8: MAP of nothing, or a MAP that failed at once, at the first page
 *     of the window cleared 2^52 entries.
 * 12. A MAP that failed cleared what it had replaced.
 * 13. Misaligned and too long ranges answered +1, firmware codes came back as
 *     errnos, REMOVE took any address inside a window.
 * 14. A CREATE that failed stayed in locked_vm and cost pseries its dynamic
 *     windows; page shifts and reserved fields were not checked.
 * 15. A group that left took the mappings of the others along.
 * 16. UNMAP made the default window, two threads made it twice, and windows
 *     were longer than asked for.
 * 17. v1: DISABLE left everything mapped, maps for reading pinned for writing
 *     and for a short time, refused maps leaked pins.
 * 18. MAP, UNMAP and REMOVE took no lock against each other.
 * 19. Pages were given back before the device had lost them.
 * 20. GET_INFO, EEH_PE_OP and others looked at groups that just left.
 * 21. What could not be allocated for the userspace view was written to.
 * 22. A MAP that failed took a count from the wrong region.
 * 23. MAP of a region that just left stopped half way and answered 0.
 * 25. pseries: the hypervisor kept the default window after REMOVE.
 * 26. Each entry of a window cost a call or a store, mapped or not, and the
 *     userspace view was there for all of them.
 *
 * In KVM:
 *
 * 27. A table whose offset and size wrapped had no pages and no end.
 * 28. H_PUT_TCE_INDIRECT mapped entries without permissions, for ever.
 * 29. It read the list twice, and checked only what it read first.
 * 30. A table was freed under a hypercall that slept.
 * 31. The hardware tables of a table were a list under two different locks.
 * 33. A group that was given its table twice kept the hardware's for ever; one
 *     that never had a table was a warning, and one that could not have it took
 *     away that of others.
 * 34. Both raced with the removal of the window.
 * 35. The container of another process was accepted, and counted wrongly.
 * 36. So was a container of version 1, and pages stayed pinned.
 * 37. After the removal of a window KVM went on with its table.
 * 38. The same when the group left the container: regions were lost.
 * 39. The slot, its size and what may be written there were not looked at.
 *
 * Number 24, firmware that refuses, is nothing that a test can ask of a real
 * machine: KUnit does that with one that is not real. Numbers 32, errors half
 * way, and 40, one invalidation for each entry, are seen in other tests and in
 * the benchmark.
 */
#ifndef SELFTESTS_VFIO_SPAPR_TEST_H
#define SELFTESTS_VFIO_SPAPR_TEST_H

#include <time.h>

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

/* What a stock kernel does to the machine must not end the whole run. */
#define DANGEROUS_ON_STOCK(statement, what) do {			\
	if (spapr_on_stock() && !spapr_dangerous())			\
		SKIP(statement, "would %s a stock kernel; "		\
		     "VFIO_TEST_DANGEROUS=1 runs it", what);		\
} while (0)

/* Locked bytes and pinned pages since @base was taken. */
#define EXPECT_ACCOUNT(base, locked_bytes, pinned_pages) do {		\
	struct spapr_account __a = *(base);				\
									\
	__a.locked += (long)(locked_bytes);				\
	__a.pins += (long)(pinned_pages);				\
	EXPECT_EQ(__a.locked, spapr_locked());				\
	EXPECT_EQ(__a.pins, spapr_pins_settle(__a.pins));		\
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

/* What random tests begin with: printed, and to be had again by this name. */
#define SEED_VARIABLE	"VFIO_TEST_SEED"

#define test_seed() ({							\
	const char *__text = getenv(SEED_VARIABLE);			\
	unsigned int __seed = __text ? strtol(__text, NULL, 0) :	\
				       time(NULL) ^ getpid();		\
									\
	TH_LOG("again with " SEED_VARIABLE "=%u", __seed);		\
	__seed;								\
})

/* The numbers from 0 to @n - 1 in some order. */
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

/* Fills memory with bytes that depend on @seed and on the place. */
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

/*
 * Under a hypervisor each group has tables of its own, which show as tables
 * of a single level, and a window may be refused to a second group (EPERM).
 * Where the kernel owns the tables all groups of a container share them.
 */
#define NEEDS_SHARED_WINDOWS \
	"needs windows that groups can share: a powernv machine"

static inline bool windows_stay_with_a_group(struct spapr *s)
{
	struct vfio_iommu_spapr_tce_info info;
	int ret;

	if (__spapr_info(s->fd, &info) || info.ddw.levels > 1)
		return false;
	ret = __spapr_attach(s, 1);
	if (!ret)
		__spapr_detach(s, 1);
	return ret == -EPERM;
}

/* A hypervisor owns its tables: how many levels are asked for is a hint. */
static inline bool levels_are_a_hint(const struct vfio_iommu_spapr_tce_info *info)
{
	return info->ddw.levels <= 1;
}

/* The largest IOMMU page that ordinary memory can always back. */
static inline __u32 iommu_shift(const struct vfio_iommu_spapr_tce_info *info)
{
	__u32 shift = spapr_page_shift();

	while (shift > 12 && !(info->ddw.pgsizes & (1ULL << shift)))
		shift--;
	return shift;
}

#endif
