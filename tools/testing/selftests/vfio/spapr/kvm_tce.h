/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers of the tests of TCE hypercalls: hypercalls of self->cpu, lists of
 * TCEs in guest memory, and the userspace mapping of the shadow.
 */
#ifndef SELFTESTS_VFIO_KVM_TCE_H
#define SELFTESTS_VFIO_KVM_TCE_H

#include <endian.h>
#include <sys/mman.h>

#include "libkvm_tce.h"
#include "spapr_test.h"

#define LIOBN		GUEST_LIOBN

/* Guest memory, and a list of TCEs in it */
#define LIST		0x20000UL
#define LIST_MAX	512UL
/* Unused range of guest addresses */
#define OTHER		(256 * MIB)
#define NOWHERE		(GIB + 256 * MIB)

/* Report a missing requirement once, not for each test. */
static void __attribute__((constructor)) need_kvm(void)
{
	const char *missing = vm_missing();

	if (missing)
		ksft_exit_skip("%s\n", missing);
}

static inline void set_list(struct guest *g, unsigned int i, unsigned long tce)
{
	((__u64 *)(g->mem + LIST))[i] = htobe64(tce);
}

#define PUT(ioba, tce)		h_put_tce(self->cpu, LIOBN, ioba, tce)
#define PUT_LIST(ioba, list, n)	\
	h_put_tce_indirect(self->cpu, LIOBN, ioba, list, n)
#define STUFF(ioba, tce, n)	h_stuff_tce(self->cpu, LIOBN, ioba, tce, n)
#define GET(ioba, tce)		h_get_tce(self->cpu, LIOBN, ioba, tce)

#define EXPECT_GOT(tce, ioba) do {					\
	unsigned long __want = (tce), __got = 0;			\
									\
	EXPECT_EQ(H_SUCCESS, GET(ioba, &__got));			\
	EXPECT_EQ(__want, __got);					\
} while (0)

/* Maps the guest's TCEs in user space. */
static inline unsigned long *map_view(int table, size_t size)
{
	unsigned long *view = mmap(NULL, size, PROT_READ | PROT_WRITE,
				   MAP_SHARED, table, 0);

	return view == MAP_FAILED ? NULL : view;
}

#endif
