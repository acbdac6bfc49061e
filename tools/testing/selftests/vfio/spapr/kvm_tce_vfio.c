// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE hypercalls of a guest with a device: memory that the device can reach,
 * which cannot be unregistered, and the state after tables, groups, windows and
 * processes were removed. See kvm_tce.c.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "edu.h"
#include "kvm_tce.h"
#include "memkind.h"
#include "stall.h"

/* ------------------------------------------------------------------ */
/* Table with a device */

#define SECONDS		120
#define NR_PAGES	4	/* of the guest, at least */
#define MEM_SIZE	(NR_PAGES * 16 * MIB)
#define WINDOW		GIB

/* The n-th page of bus addresses, and of memory */
#define IOBA(n)		(self->g.window + (n) * self->page)
#define TCE(n)		((n) * self->page | TCE_RW)

FIXTURE(hardware)
{
	struct guest g;
	struct spapr_account base;
	struct cpu *cpu;
	size_t page;		/* IOMMU page size of the guest */
	unsigned long entries;
	struct vfio_iommu_spapr_tce_info info;
	char *other;		/* memory for a second slot */
};

/* 0: largest size that ordinary memory always supports */
FIXTURE_VARIANT(hardware)
{
	unsigned int hw_shift;
	unsigned int shift;
};

FIXTURE_VARIANT_ADD(hardware, pages_of_4k)
{
	.hw_shift = 12,
	.shift = 12,
};

FIXTURE_VARIANT_ADD(hardware, pages_of_the_kernel)
{
};

FIXTURE_VARIANT_ADD(hardware, guest_64k_device_4k)
{
	.hw_shift = 12,
	.shift = 16,
};

FIXTURE_VARIANT_ADD(hardware, guest_16m)
{
	.shift = 24,
};

FIXTURE_SETUP(hardware)
{
	struct guest_config config = {
		.size = MEM_SIZE, .nr_cpus = 1, .window = WINDOW,
		.hw_shift = variant->hw_shift ? : spapr_page_shift(),
		.shift = variant->shift ? : spapr_page_shift(),
	};
	int ret;

	guest_init(&self->g);
	NEED_DEVICES(return, 1);
	spapr_account(&self->base);
	ret = __guest_open(&self->g, &config);
	if (ret == -ENOTSUP)
		SKIP(return, "needs a device with IOMMU pages of 2^%u bytes",
		     config.hw_shift);
	ASSERT_EQ(0, ret);
	self->cpu = &self->g.vm.cpu[0];
	self->page = 1UL << config.shift;
	self->entries = WINDOW >> config.shift;
}

FIXTURE_TEARDOWN(hardware)
{
	guest_close(&self->g);
	if (self->page)
		EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* Unregistering succeeds if and only if nothing is mapped. */
static int try_unregister(struct guest *g)
{
	int ret = __spapr_unregister(g->s.fd, g->mem, g->size);

	return ret ? : __spapr_register(g->s.fd, g->mem, g->size);
}

#define EXPECT_MAPPED()		EXPECT_ERRNO(EBUSY, try_unregister(&self->g))
#define EXPECT_NOT_MAPPED()	EXPECT_EQ(0, try_unregister(&self->g))

/* Length of a full list: limited by the window and by a page. */
#define FULL_LIST \
	(self->entries < LIST_MAX ? self->entries : LIST_MAX)

#define SET_LIST(n) do {						\
	unsigned long __i;						\
									\
	for (__i = 0; __i < (n); __i++)					\
		set_list(&self->g, __i, TCE(__i % NR_PAGES));		\
} while (0)

TEST_F(hardware, put_maps_and_clears)
{
	EXPECT_NOT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_MAPPED();
	EXPECT_GOT(TCE(0), IOBA(0));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_NOT_MAPPED();
	EXPECT_GOT(0, IOBA(0));
	/* mapping twice counts once */
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_NOT_MAPPED();
}

TEST_F(hardware, the_first_and_the_last_entry)
{
	unsigned long last = self->entries - 1;

	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(last), TCE(1)));
	EXPECT_EQ(H_PARAMETER, PUT(IOBA(last + 1), TCE(1)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(last), 0));
	EXPECT_NOT_MAPPED();
}

TEST_F(hardware, each_permission_maps)
{
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE_READ));
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE_WRITE));
	EXPECT_MAPPED();
	EXPECT_GOT(TCE_WRITE, IOBA(0));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_NOT_MAPPED();
}

TEST_F(hardware, replaced_memory_is_released)
{
	struct guest *g = &self->g;
	size_t half = g->size / 2;
	int fd = g->s.fd;

	spapr_unregister(fd, g->mem, g->size);
	spapr_register(fd, g->mem, half);
	spapr_register(fd, g->mem + half, half);
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(3), TCE(0)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(3), half | TCE_RW));
	EXPECT_EQ(0, __spapr_unregister(fd, g->mem, half));
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, g->mem + half, half));
	EXPECT_EQ(H_TO_USER, PUT(IOBA(3), TCE(0)));
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, g->mem + half, half));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(3), 0));
	EXPECT_EQ(0, __spapr_unregister(fd, g->mem + half, half));
}

/* Operating systems write patterns to cleared entries. */
TEST_F(hardware, any_value_without_permissions_clears)
{
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1) & ~TCE_RW));
	EXPECT_GOT(TCE(1) & ~TCE_RW, IOBA(1));
	EXPECT_NOT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), 0xdeadbeef0000));
	EXPECT_GOT(0xdeadbeef0000, IOBA(1));
	EXPECT_NOT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1)));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0xdeadbeef0000, 3));
	EXPECT_GOT(0xdeadbeef0000, IOBA(2));
	EXPECT_NOT_MAPPED();
}

TEST_F(hardware, a_list_maps_and_stuff_clears)
{
	unsigned long n = FULL_LIST;

	SET_LIST(n);
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST, n));
	EXPECT_MAPPED();
	EXPECT_GOT(TCE((n - 1) % NR_PAGES), IOBA(n - 1));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, n - 1));
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(n - 1), 0, 1));
	EXPECT_NOT_MAPPED();
	EXPECT_GOT(0, IOBA(0));
}

TEST_F(hardware, a_list_replaces_what_is_there)
{
	unsigned long n = FULL_LIST;

	SET_LIST(n);
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST, n));
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST, n));
	set_list(&self->g, 0, TCE(2));
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST, n / 2));
	EXPECT_GOT(TCE(2), IOBA(0));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, n));
	EXPECT_NOT_MAPPED();
}

/* Old guests clear a whole window by one call. */
TEST_F(hardware, stuff_clears_all_of_a_window)
{
	SET_LIST(4);
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST, 4));
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(self->entries - 4), LIST, 4));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(self->entries / 2 + 1), TCE(1)));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, self->entries));
	EXPECT_NOT_MAPPED();
	EXPECT_GOT(0, IOBA(self->entries / 2 + 1));
	EXPECT_EQ(H_PARAMETER, STUFF(IOBA(1), 0, self->entries));
}

TEST_F(hardware, stuff_clears_100000_entries)
{
	if (self->entries < 100000)
		SKIP(return, "needs a window of so many pages");
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(99999), TCE(1)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(100000), TCE(2)));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, 100000));
	EXPECT_MAPPED();
	EXPECT_GOT(0, IOBA(99999));
	EXPECT_GOT(TCE(2), IOBA(100000));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(100000), 0));
	EXPECT_NOT_MAPPED();
}

/* Blocks of the view that the kernel has memory for, or -1. */
static long view_blocks(void)
{
	return spapr_read_number("/sys/kernel/slab/iommu_tce_view/total_objects");
}

/* Where nothing is mapped they only cost the look. */
TEST_F(hardware, lists_that_clear_make_nothing)
{
	unsigned long i, nr = FULL_LIST;
	long before = view_blocks(), after;

	if (before < 0)
		SKIP(return, "needs CONFIG_SLUB_DEBUG");
	for (i = 0; i < nr; i++)
		set_list(&self->g, i, 0);
	for (i = 0; i + nr <= self->entries && i < 100000; i += nr)
		ASSERT_EQ(H_SUCCESS, PUT_LIST(IOBA(i), LIST, nr));
	after = view_blocks();
	EXPECT_GT(after, 0);
	EXPECT_GE(before, after);
}

TEST_F(hardware, a_list_clears_where_there_is_no_permission)
{
	SET_LIST(4);
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST, 4));
	set_list(&self->g, 0, 0);
	set_list(&self->g, 1, TCE(3) & ~TCE_RW);
	set_list(&self->g, 3, 0xdeadbeef0000);
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST, 4));
	EXPECT_GOT(0, IOBA(0));
	EXPECT_GOT(TCE(3) & ~TCE_RW, IOBA(1));
	EXPECT_GOT(TCE(2), IOBA(2));
	EXPECT_GOT(0xdeadbeef0000, IOBA(3));
	EXPECT_MAPPED();
	set_list(&self->g, 2, 0);
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST, 4));
	EXPECT_NOT_MAPPED();
	/* and where nothing was mapped */
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(4), LIST, 4));
	EXPECT_NOT_MAPPED();
}

TEST_F(hardware, user_space_maps_and_the_guest_clears)
{
	struct guest *g = &self->g;

	spapr_map(g->s.fd, IOBA(0), g->mem, 2 * self->page, SPAPR_RW);
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(0)));
	EXPECT_MAPPED();
	spapr_unmap(g->s.fd, IOBA(0), 2 * self->page);
	EXPECT_NOT_MAPPED();
	spapr_map(g->s.fd, IOBA(0), g->mem, 2 * self->page, SPAPR_RW);
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, 2));
	EXPECT_NOT_MAPPED();
}

/* ------------------------------------------------------------------ */
/* Calls that cannot be completed go to user space, with nothing changed */

/* Adds a second slot with its own memory, registered up to @registered. */
static int add_other(struct __test_metadata *_metadata, struct guest *g,
		     char **mem, size_t size, size_t registered)
{
	*mem = mem_reserve(size, GUEST_ALIGN);
	ASSERT_NE(NULL, mem_map(MEM_ANON, *mem, size));
	if (registered)
		spapr_register(g->s.fd, *mem, registered);
	return __vm_slot(&g->vm, 1, OTHER, *mem, size);
}

#define OTHER_SIZE	(16 * MIB)
#define ADD_OTHER(size, registered) \
	ASSERT_EQ(0, add_other(_metadata, &self->g, &self->other, size, \
			       registered))
#define OTHER_TCE	(OTHER | TCE_RW)

/* Each call that could map @tce changes nothing. */
#define EXPECT_NOT_DONE(tce) do {					\
	unsigned long __tce = (tce);					\
									\
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));			\
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1)));			\
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), __tce));			\
	EXPECT_EQ(H_TO_USER, PUT(IOBA(2), __tce));			\
	SET_LIST(3);							\
	set_list(&self->g, 2, __tce);					\
	EXPECT_EQ(H_TO_USER, PUT_LIST(IOBA(0), LIST, 3));		\
	EXPECT_EQ(H_TO_USER, PUT_LIST(IOBA(1), LIST, 3));		\
	EXPECT_GOT(TCE(0), IOBA(0));					\
	EXPECT_GOT(TCE(1), IOBA(1));					\
	EXPECT_GOT(0, IOBA(2));						\
	EXPECT_GOT(0, IOBA(3));						\
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));				\
	EXPECT_MAPPED();						\
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), 0));				\
	EXPECT_NOT_MAPPED();						\
} while (0)

TEST_F(hardware, memory_that_is_not_registered)
{
	ADD_OTHER(OTHER_SIZE, 0);
	EXPECT_NOT_DONE(OTHER_TCE);
	/* user space completes the call */
	spapr_register(self->g.s.fd, self->other, OTHER_SIZE);
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), OTHER_TCE));
	EXPECT_NOT_MAPPED();
	EXPECT_ERRNO(EBUSY, __spapr_unregister(self->g.s.fd, self->other,
					       OTHER_SIZE));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	spapr_unregister(self->g.s.fd, self->other, OTHER_SIZE);
	EXPECT_NOT_DONE(OTHER_TCE);
}

TEST_F(hardware, memory_in_no_slot)
{
	EXPECT_NOT_DONE(NOWHERE | TCE_RW);
	EXPECT_NOT_DONE(NOWHERE | TCE_READ);
	EXPECT_NOT_DONE(MEM_SIZE | TCE_RW);
	EXPECT_NOT_DONE(1UL << 60 | TCE_RW);
}

TEST_F(hardware, memory_that_is_not_aligned)
{
	/* the lowest 12 bits are not part of the address */
	if (self->page == 4 * KIB)
		SKIP(return, "needs IOMMU pages of more than 4 KiB");
	EXPECT_NOT_DONE(4 * KIB | TCE_RW);
	EXPECT_NOT_DONE((self->page + self->page / 2) | TCE_RW);
}

TEST_F(hardware, a_slot_that_was_deleted)
{
	struct guest *g = &self->g;

	ADD_OTHER(OTHER_SIZE, OTHER_SIZE);
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(5), OTHER_TCE));
	ASSERT_EQ(0, __vm_slot(&g->vm, 1, OTHER, self->other, 0));
	EXPECT_NOT_DONE(OTHER_TCE);
	EXPECT_EQ(H_TO_USER, PUT_LIST(IOBA(0), OTHER, 1));
	/* existing mappings can still be cleared */
	EXPECT_GOT(OTHER_TCE, IOBA(5));
	EXPECT_ERRNO(EBUSY, __spapr_unregister(g->s.fd, self->other,
					       OTHER_SIZE));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(5), 0));
	EXPECT_EQ(0, __spapr_unregister(g->s.fd, self->other, OTHER_SIZE));
}

/* The memory of the slot at the time of the call is decisive. */
TEST_F(hardware, a_slot_that_moved)
{
	struct guest *g = &self->g;
	__u64 to = OTHER + 64 * MIB;

	ADD_OTHER(OTHER_SIZE, OTHER_SIZE);
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(5), OTHER_TCE));
	ASSERT_EQ(0, __vm_slot(&g->vm, 1, to, self->other, OTHER_SIZE));
	EXPECT_NOT_DONE(OTHER_TCE);
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(5), to | TCE_RW));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(5), 0, 1));
	EXPECT_EQ(0, __spapr_unregister(g->s.fd, self->other, OTHER_SIZE));
}

/* The guest cannot write where the process cannot. */
TEST_F(hardware, memory_that_is_only_read)
{
	struct guest *g = &self->g;

	ADD_OTHER(OTHER_SIZE, 0);
	memset(self->other, 1, OTHER_SIZE);
	ASSERT_EQ(0, mprotect(self->other, OTHER_SIZE, PROT_READ));
	spapr_register(g->s.fd, self->other, OTHER_SIZE);
	EXPECT_NOT_DONE(OTHER_TCE);
	EXPECT_NOT_DONE(OTHER | TCE_WRITE);
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), OTHER | TCE_READ));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_EQ(0, __spapr_unregister(g->s.fd, self->other, OTHER_SIZE));
}

#define NEED_LARGE_PAGES(statement) do {				\
	if (self->page < 2 * spapr_page_size())				\
		SKIP(statement, "needs an IOMMU page of the guest larger than a page"); \
} while (0)

TEST_F(hardware, a_slot_that_ends_within_a_page)
{
	NEED_LARGE_PAGES(return);
	ADD_OTHER(OTHER_SIZE, OTHER_SIZE);
	ASSERT_EQ(0, __vm_slot(&self->g.vm, 1, OTHER, self->other, 0));
	ASSERT_EQ(0, __vm_slot(&self->g.vm, 1, OTHER, self->other,
			       self->page / 2));
	EXPECT_NOT_DONE(OTHER_TCE);
	spapr_unregister(self->g.s.fd, self->other, OTHER_SIZE);
}

/* Adjacent slots whose memory is not adjacent. */
TEST_F(hardware, a_page_that_lies_in_two_slots)
{
	struct guest *g = &self->g;
	size_t half = self->page / 2;

	NEED_LARGE_PAGES(return);
	ADD_OTHER(OTHER_SIZE, OTHER_SIZE);
	ASSERT_EQ(0, __vm_slot(&g->vm, 1, OTHER, self->other, 0));
	ASSERT_EQ(0, __vm_slot(&g->vm, 1, OTHER, self->other, half));
	ASSERT_EQ(0, __vm_slot(&g->vm, 2, OTHER + half, g->mem + MIB, half));
	EXPECT_NOT_DONE(OTHER_TCE);
	spapr_unregister(g->s.fd, self->other, OTHER_SIZE);
}

TEST_F(hardware, a_page_that_is_registered_in_part)
{
	struct guest *g = &self->g;
	size_t half = self->page / 2;

	NEED_LARGE_PAGES(return);
	ADD_OTHER(OTHER_SIZE, half);
	EXPECT_NOT_DONE(OTHER_TCE);
	spapr_unregister(g->s.fd, self->other, half);
	spapr_register(g->s.fd, self->other + half, half);
	EXPECT_NOT_DONE(OTHER_TCE);
	spapr_unregister(g->s.fd, self->other + half, half);
}

/* ------------------------------------------------------------------ */
/* IOMMU pages of the device larger than pages of the kernel */

FIXTURE(block)
{
	struct guest g;
	struct spapr_account base;
	struct cpu *cpu;
	size_t page;		/* IOMMU page size of guest and device */
	char *mem;		/* two pages, each contiguous */
};

static const struct {
	enum mem_kind kind;
	unsigned int shift;
} blocks[] = {
	{ MEM_HUGETLB_16M, 24 },
	{ MEM_HUGETLB_2M, 21 },
	{ MEM_HUGETLB_2M, 16 },
	{ MEM_THP, 16 },
};

/*
 * Returns 0; -ENOTSUP if device or memory does not support such pages; else the
 * errno of the failed step.
 */
static int open_block(struct guest *g, unsigned int i, char **mem)
{
	struct guest_config config = {
		.size = MEM_SIZE, .nr_cpus = 1, .window = WINDOW,
		.shift = blocks[i].shift, .hw_shift = blocks[i].shift,
	};
	size_t unit = mem_unit(blocks[i].kind);

	if (!unit || spapr_page_shift() >= blocks[i].shift)
		return -ENOTSUP;
	*mem = mem_map(blocks[i].kind, NULL, 2 * unit);
	return *mem ? __guest_open(g, &config) : -ENOTSUP;
}

FIXTURE_SETUP(block)
{
	int ret = -ENOTSUP;
	unsigned int i;

	guest_init(&self->g);
	NEED_DEVICES(return, 1);
	spapr_account(&self->base);
	for (i = 0; i < ARRAY_SIZE(blocks) && ret == -ENOTSUP; i++) {
		ret = open_block(&self->g, i, &self->mem);
		self->page = 1UL << blocks[i].shift;
	}
	if (ret == -ENOTSUP) {
		self->page = 0;
		SKIP(return, "needs huge pages, and IOMMU pages larger than the kernel's");
	}
	ASSERT_EQ(0, ret);
	self->cpu = &self->g.vm.cpu[0];
	spapr_register(self->g.s.fd, self->mem, 2 * self->page);
}

FIXTURE_TEARDOWN(block)
{
	guest_close(&self->g);
	if (self->page)
		EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* The guest address is aligned, the memory is not. */
TEST_F(block, a_slot_that_begins_within_a_page)
{
	struct guest *g = &self->g;

	ASSERT_EQ(0, __vm_slot(&g->vm, 1, OTHER, self->mem + spapr_page_size(),
			       self->page));
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), OTHER | TCE_RW));
	set_list(g, 0, OTHER | TCE_RW);
	set_list(g, 1, OTHER | TCE_READ);
	EXPECT_EQ(H_TO_USER, PUT_LIST(IOBA(0), LIST, 2));
	EXPECT_GOT(0, IOBA(0));
	EXPECT_EQ(0, __spapr_unregister(g->s.fd, self->mem, 2 * self->page));

	/* the same memory at an aligned address is mapped */
	spapr_register(g->s.fd, self->mem, 2 * self->page);
	ASSERT_EQ(0, __vm_slot(&g->vm, 1, OTHER, self->mem, 0));
	ASSERT_EQ(0, __vm_slot(&g->vm, 1, OTHER, self->mem, self->page));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), OTHER | TCE_RW));
	EXPECT_ERRNO(EBUSY, __spapr_unregister(g->s.fd, self->mem,
					       2 * self->page));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	spapr_unregister(g->s.fd, self->mem, 2 * self->page);
}

/* ------------------------------------------------------------------ */
/* User space may write the shadow, which must not affect accounting */

static void scribble(unsigned long *view, unsigned long n, unsigned long tce)
{
	unsigned long i;

	for (i = 0; i < n; i++)
		view[i] = tce;
}

TEST_F(hardware, the_view_is_not_trusted)
{
	unsigned long n = self->entries < 8 ? self->entries : 8;
	unsigned long *view = map_view(self->g.table, self->entries * 8);

	ASSERT_NE(NULL, view);
	/* nothing is mapped, but the shadow has mappings */
	scribble(view, n, TCE(1));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, n));
	EXPECT_NOT_MAPPED();
	/* all is mapped, but the shadow is empty */
	SET_LIST(n);
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST, n));
	scribble(view, n, 0);
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST, n));
	scribble(view, n, -1UL);
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(2)));
	scribble(view, n, 0);
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, n));
	EXPECT_NOT_MAPPED();
	munmap(view, self->entries * 8);
}

/* ------------------------------------------------------------------ */
/* Tables and groups */

TEST_F(hardware, tables_that_do_not_fit_the_device)
{
	struct guest *g = &self->g;
	unsigned int shift = __builtin_ctzl(self->page), i;
	struct {
		unsigned int shift;
		unsigned long offset, size;
	} bad[] = {
		{ shift, (g->window >> shift) + 1, 1 },
		{ shift, g->window >> shift, self->entries + 1 },
	};
	int table;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		table = __vm_table(&g->vm, LIOBN + 1, bad[i].shift,
				   bad[i].offset, bad[i].size);
		ASSERT_LE(0, table);
		EXPECT_ERRNO(EINVAL, __vm_attach(&g->vm, g->s.group[0],
						 table));
		close(table);
	}
	/* a smaller one is accepted */
	table = __vm_table(&g->vm, LIOBN + 1, shift, g->window >> shift, 1);
	ASSERT_LE(0, table);
	EXPECT_EQ(0, __vm_attach(&g->vm, g->s.group[0], table));
	EXPECT_EQ(H_SUCCESS, h_put_tce(self->cpu, LIOBN + 1, IOBA(0), TCE(0)));
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_NOT_MAPPED();
	close(table);
}

TEST_F(hardware, pages_smaller_than_those_of_the_device)
{
	struct guest *g = &self->g;
	int table;

	if (variant->hw_shift == 12 || spapr_page_shift() == 12)
		SKIP(return, "needs IOMMU pages larger than 4K");
	table = __vm_table(&g->vm, LIOBN + 1, 12, g->window >> 12, 16);
	ASSERT_LE(0, table);
	EXPECT_ERRNO(EINVAL, __vm_attach(&g->vm, g->s.group[0], table));
	close(table);
}

TEST_F(hardware, neither_a_group_nor_a_table)
{
	struct vm *vm = &self->g.vm;
	int group = self->g.s.group[0], table = self->g.table;

	EXPECT_ERRNO(EEXIST, __vm_add_group(vm, group));
	EXPECT_ERRNO(EBADF, __vm_add_group(vm, 999));
	EXPECT_ERRNO(EINVAL, __vm_add_group(vm, vm->fd));
	EXPECT_ERRNO(EBADF, __vm_attach(vm, 999, table));
	EXPECT_ERRNO(ENOENT, __vm_attach(vm, self->g.s.fd, table));
	EXPECT_ERRNO(EBADF, __vm_attach(vm, group, 999));
	EXPECT_ERRNO(EINVAL, __vm_attach(vm, group, vm->fd));
	EXPECT_ERRNO(EBADF, __vm_del_group(vm, 999));
	EXPECT_ERRNO(ENOENT, __vm_del_group(vm, table));
	EXPECT_EQ(0, __vm_del_group(vm, group));
	EXPECT_ERRNO(ENOENT, __vm_del_group(vm, group));
	EXPECT_ERRNO(ENOENT, __vm_attach(vm, group, table));
}

/* A table belongs to one VM. */
TEST_F(hardware, the_table_of_another_machine)
{
	struct guest *g = &self->g;
	unsigned int shift = __builtin_ctzl(self->page);
	struct vm other;
	char *mem = mem_reserve(2 * VM_MEM_MIN, GUEST_ALIGN);
	int table;

	ASSERT_NE(NULL, mem_map(MEM_ANON, mem, 2 * VM_MEM_MIN));
	ASSERT_EQ(0, __vm_open(&other, mem, 2 * VM_MEM_MIN, 1));
	table = __vm_table(&other, LIOBN, shift, g->window >> shift,
			   self->entries);
	ASSERT_LE(0, table);
	EXPECT_ERRNO(EINVAL, __vm_attach(&g->vm, g->s.group[0], table));
	close(table);
	vm_close(&other);
}

TEST_F(hardware, without_its_group_a_table_is_emulated)
{
	struct guest *g = &self->g;

	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	ASSERT_EQ(0, __vm_del_group(&g->vm, g->s.group[0]));
	/* the mappings are in the container */
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1)));
	EXPECT_GOT(TCE(1), IOBA(1));
	spapr_unmap(g->s.fd, g->window, WINDOW);
	EXPECT_NOT_MAPPED();
	ASSERT_EQ(0, __guest_attach(g, 0));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(2), TCE(2)));
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, 3));
	EXPECT_NOT_MAPPED();
}

#define ROUNDS		32

/* Creates a window, attaches it to the table, and removes it. */
static int window_comes_and_goes(struct guest *g, unsigned int hw_shift,
				 unsigned int attach)
{
	__u64 at;
	int ret = __spapr_create(g->s.fd, hw_shift, WINDOW, 1, &at);

	while (!ret && attach--)
		ret = __vm_attach(&g->vm, g->s.group[0], g->table);
	return ret ? : __spapr_remove(g->s.fd, g->window);
}

TEST_F_TIMEOUT(hardware, the_same_group_twice, SECONDS)
{
	struct guest *g = &self->g;
	long table = WINDOW / IOMMU_PAGE * 8, before;
	int i;

	if (self->page != IOMMU_PAGE)
		SKIP(return, "the same with IOMMU pages of 4K");
	EXPECT_EQ(0, __vm_attach(&g->vm, g->s.group[0], g->table));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_NOT_MAPPED();
	spapr_remove(g->s.fd, g->window);
	before = spapr_mem_free();
	for (i = 0; i < ROUNDS; i++)
		ASSERT_EQ(0, window_comes_and_goes(g, 12, 2));
	ASSERT_EQ(0, __vm_del_group(&g->vm, g->s.group[0]));
	EXPECT_LT(before - spapr_mem_free(), ROUNDS / 2 * table);
}

TEST_F(hardware, a_group_that_never_had_a_table)
{
	struct guest *g = &self->g;

	NEED_DEVICES(return, 2);
	spapr_attach(&g->s, 1);
	ASSERT_EQ(0, __vm_add_group(&g->vm, g->s.group[1]));
	ASSERT_EQ(0, __vm_del_group(&g->vm, g->s.group[1]));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_NOT_MAPPED();
}

TEST_F(hardware, a_group_that_could_not_have_a_table)
{
	struct guest *g = &self->g;

	NEED_DEVICES(return, 2);
	spapr_attach(&g->s, 1);
	ASSERT_EQ(0, __vm_add_group(&g->vm, g->s.group[1]));
	EXPECT_ERRNO(EBADF, __vm_attach(&g->vm, g->s.group[1], 999));
	ASSERT_EQ(0, __vm_del_group(&g->vm, g->s.group[1]));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_NOT_MAPPED();
}

/* Both groups share the window: either can leave first. */
TEST_F(hardware, two_groups_one_of_them_leaves)
{
	struct guest *g = &self->g;

	NEED_DEVICES(return, 2);
	spapr_attach(&g->s, 1);
	ASSERT_EQ(0, __guest_attach(g, 1));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	ASSERT_EQ(0, __vm_del_group(&g->vm, g->s.group[0]));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), 0));
	EXPECT_NOT_MAPPED();
}

/* ------------------------------------------------------------------ */
/* Calls in flight */

/* A list whose page fault stalls KVM. */
struct list_call {
	pthread_t thread;
	struct cpu *cpu;
	unsigned long ioba;
	long answer;
};

static void *list_thread(void *arg)
{
	struct list_call *call = arg;

	call->answer = h_put_tce_indirect(call->cpu, LIOBN, call->ioba, OTHER,
					  1);
	return NULL;
}

struct attach_call {
	pthread_t thread;
	struct guest *g;
	int tid;
	int ret;
	bool returned;
};

static void *attach_thread(void *arg)
{
	struct attach_call *call = arg;
	struct guest *g = call->g;

	__atomic_store_n(&call->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	call->ret = __vm_attach(&g->vm, g->s.group[0], g->table);
	__atomic_store_n(&call->returned, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static void attach_sleeps(struct attach_call *call)
{
	int tid;

	do {
		tid = __atomic_load_n(&call->tid, __ATOMIC_SEQ_CST);
	} while (!tid);
	task_sleeps(tid);
}

/*
 * User space repeats the guest's mappings in a table after attaching it. An
 * older call that does not know the table must not write it afterwards.
 */
TEST_F_TIMEOUT(hardware, attach_waits_for_calls_in_flight, SECONDS)
{
	struct guest *g = &self->g;
	struct attach_call attach = { .g = g };
	struct list_call list = { .cpu = self->cpu, .ioba = IOBA(0) };
	struct stall stall;

	ADD_OTHER(OTHER_SIZE, 0);
	ASSERT_EQ(0, __vm_del_group(&g->vm, g->s.group[0]));
	ASSERT_EQ(0, __vm_add_group(&g->vm, g->s.group[0]));
	madvise(self->other, OTHER_SIZE, MADV_DONTNEED);
	ASSERT_EQ(0, stall_init(&stall, self->other, OTHER_SIZE));
	ASSERT_EQ(0, pthread_create(&list.thread, NULL, list_thread, &list));
	ASSERT_TRUE(stall_reached(&stall));

	ASSERT_EQ(0, pthread_create(&attach.thread, NULL, attach_thread,
				    &attach));
	attach_sleeps(&attach);
	EXPECT_FALSE(__atomic_load_n(&attach.returned, __ATOMIC_SEQ_CST));

	stall_release(&stall);
	pthread_join(list.thread, NULL);
	pthread_join(attach.thread, NULL);
	stall_free(&stall);
	EXPECT_EQ(H_SUCCESS, list.answer);
	EXPECT_EQ(0, attach.ret);
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
	EXPECT_NOT_MAPPED();
}

/* QEMU closes it under a lock that all vCPU threads need. */
TEST_F(hardware, a_table_is_closed_after_one_short_wait)
{
	long normal, expedited;

	if (spapr_trace_functions("synchronize_srcu*"))
		SKIP(return, "needs root and CONFIG_DYNAMIC_FTRACE");
	guest_close_table(&self->g);
	normal = spapr_trace_count(": synchronize_srcu <-");
	expedited = spapr_trace_count(": synchronize_srcu_expedited <-");
	spapr_trace_functions(NULL);
	EXPECT_EQ(0, normal);
	EXPECT_EQ(1, expedited);
}

/* ------------------------------------------------------------------ */
/* Removal of window, group and container */

TEST_F(hardware, the_window_is_removed)
{
	struct guest *g = &self->g;
	__u64 again;

	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	spapr_remove(g->s.fd, g->window);
	EXPECT_NOT_MAPPED();
	SET_LIST(2);
	EXPECT_EQ(H_TO_USER, PUT(IOBA(1), TCE(1)));
	EXPECT_EQ(H_TO_USER, PUT_LIST(IOBA(0), LIST, 2));
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), 0));
	EXPECT_EQ(H_TO_USER, STUFF(IOBA(0), 0, 2));
	EXPECT_NOT_MAPPED();
	/* a new window is used after it was attached to KVM */
	spapr_create(g->s.fd, variant->hw_shift ? : spapr_page_shift(), WINDOW,
		     1, &again);
	EXPECT_EQ(g->window, again);
	EXPECT_EQ(0, __vm_attach(&g->vm, g->s.group[0], g->table));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1)));
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), 0));
	EXPECT_NOT_MAPPED();
}

/*
 * A window whose removal is in progress may be restored if the platform fails.
 * Until another window replaces it, KVM must not handle the table as one
 * without a device.
 */
TEST_F(hardware, a_removed_window_is_user_space_s_until_there_is_another)
{
	struct guest *g = &self->g;
	__u64 again;

	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	spapr_remove(g->s.fd, g->window);
	EXPECT_ERRNO(EINVAL, __vm_attach(&g->vm, g->s.group[0], g->table));
	SET_LIST(2);
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), 0));
	EXPECT_EQ(H_TO_USER, PUT(IOBA(1), TCE(1)));
	EXPECT_EQ(H_TO_USER, PUT_LIST(IOBA(0), LIST, 2));
	EXPECT_EQ(H_TO_USER, STUFF(IOBA(0), 0, 2));
	EXPECT_GOT(TCE(0), IOBA(0));
	EXPECT_GOT(0, IOBA(1));
	spapr_create(g->s.fd, variant->hw_shift ? : spapr_page_shift(), WINDOW,
		     1, &again);
	ASSERT_EQ(g->window, again);
	ASSERT_EQ(0, __vm_attach(&g->vm, g->s.group[0], g->table));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1)));
	EXPECT_MAPPED();
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, 2));
	EXPECT_NOT_MAPPED();
}

/*
 * The platform may create more entries than requested, which a guest may use.
 */
TEST_F(hardware, a_window_goes_with_all_of_its_table)
{
	unsigned int shift = __builtin_ctzl(self->page), hw_shift;
	unsigned long entries = spapr_page_size() / 8;
	struct guest *g = &self->g;
	__u64 at;
	int table;

	hw_shift = variant->hw_shift ? : spapr_page_shift();
	if (shift != hw_shift)
		SKIP(return, "needs entries as those of the device: see the other variants");
	spapr_remove(g->s.fd, g->window);
	spapr_create(g->s.fd, hw_shift, 16ULL << hw_shift, 1, &at);
	table = __vm_table(&g->vm, LIOBN + 1, shift, at >> shift, entries);
	ASSERT_LE(0, table);
	if (access("/proc/device-tree/ibm,opal", F_OK)) {
		close(table);
		SKIP(return, "needs bare metal, which makes a page of entries at least");
	}
	ASSERT_EQ(0, __vm_attach(&g->vm, g->s.group[0], table));

	EXPECT_EQ(H_SUCCESS, h_put_tce(self->cpu, LIOBN + 1, at, TCE(0)));
	EXPECT_EQ(H_SUCCESS, h_put_tce(self->cpu, LIOBN + 1,
				       at + ((entries - 1) << shift), TCE(1)));
	EXPECT_MAPPED();
	spapr_remove(g->s.fd, at);
	EXPECT_NOT_MAPPED();
	close(table);
}

/* KVM holds the table of the removed window, so it stays in locked memory. */
TEST_F(hardware, a_removed_window_is_counted_until_kvm_lets_go_of_its_table)
{
	struct guest *g = &self->g;
	long locked = spapr_locked();

	spapr_remove(g->s.fd, g->window);
	EXPECT_EQ(locked, spapr_locked());
	guest_close_table(g);
	EXPECT_EQ(self->base.locked + (long)g->size, spapr_locked());
}

TEST_F(hardware, the_group_leaves_its_container)
{
	struct guest *g = &self->g;

	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	ASSERT_EQ(0, __spapr_ioctl(g->s.group[0], VFIO_GROUP_UNSET_CONTAINER,
				   NULL));
	EXPECT_EQ(H_TO_USER, PUT(IOBA(1), TCE(1)));
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), 0));
	/* everything is released while the VM exists, except for its table */
	EXPECT_EQ(self->base.pins, spapr_pins_settle(self->base.pins));
	guest_close_table(g);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* The table belongs to KVM, the mappings to the container. */
TEST_F(hardware, a_table_is_closed_with_mappings)
{
	struct guest *g = &self->g;

	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	guest_close_table(g);
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), 0));
	EXPECT_MAPPED();
	spapr_unmap(g->s.fd, g->window, WINDOW);
	EXPECT_NOT_MAPPED();
}

TEST_F(hardware, a_machine_ends_with_mappings)
{
	struct guest *g = &self->g;

	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	vm_close(&g->vm);
	guest_close_table(g);
	EXPECT_MAPPED();
	spapr_unmap(g->s.fd, g->window, WINDOW);
	EXPECT_NOT_MAPPED();
}

TEST_F(hardware, a_refused_unregister_changes_nothing)
{
	struct guest *g = &self->g;

	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_ERRNO(EBUSY, __spapr_unregister(g->s.fd, g->mem, g->size));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1)));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, 2));
	EXPECT_EQ(0, __spapr_unregister(g->s.fd, g->mem, g->size));
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), TCE(0)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), 0));
}

/* ------------------------------------------------------------------ */
/* Memory that the device reaches */

#define LEN	EDU_DMA_MAX

/* The device copies the first page to the second one, through @src and @dst. */
static bool device_copies(struct edu *edu, struct guest *g, __u64 src,
			  __u64 dst, size_t page, unsigned int seed)
{
	fill(g->mem + 2 * page, LEN, seed);
	memset(g->mem + 3 * page, 0, LEN);
	if (edu_memcpy(edu, dst, src, LEN))
		return false;
	return is_filled(g->mem + 3 * page, LEN, seed);
}

#define COPIES(from, to, seed) \
	device_copies(&edu, &self->g, IOBA(from), IOBA(to), self->page, seed)

TEST_F_TIMEOUT(hardware, the_device_reaches_what_is_mapped, SECONDS)
{
	struct guest *g = &self->g;
	struct edu edu;

	ASSERT_EQ(0, edu_open(&edu, g->s.group[0], spapr_bdf(0)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(2)));
	EXPECT_FALSE(COPIES(0, 1, 1));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(3)));
	EXPECT_TRUE(COPIES(0, 1, 2));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), 3 * self->page | TCE_READ));
	EXPECT_FALSE(COPIES(0, 1, 3));
	/* a list: the second entry is cleared, others are replaced */
	set_list(g, 0, 0);
	set_list(g, 1, TCE(2));
	set_list(g, 2, TCE(3));
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(1), LIST, 3));
	EXPECT_FALSE(COPIES(0, 1, 4));
	EXPECT_TRUE(COPIES(0, 3, 5));
	EXPECT_TRUE(COPIES(2, 3, 6));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(1), 0, 2));
	EXPECT_TRUE(COPIES(0, 3, 7));
	EXPECT_FALSE(COPIES(2, 3, 8));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, 4));
	EXPECT_FALSE(COPIES(0, 3, 9));
	edu_close(&edu);
}

/* All of a large page, from the first to the last bytes. */
TEST_F_TIMEOUT(hardware, all_of_a_page_is_mapped, SECONDS)
{
	struct guest *g = &self->g;
	char *end = g->mem + 3 * self->page;
	__u64 last = IOBA(2) - LEN;
	struct edu edu;

	ASSERT_EQ(0, edu_open(&edu, g->s.group[0], spapr_bdf(0)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(2)));
	fill(end - self->page, LEN, 1);
	EXPECT_EQ(0, edu_memcpy(&edu, last, IOBA(1), LEN));
	EXPECT_TRUE(is_filled(end - LEN, LEN, 1));
	/* and nothing beyond it */
	memset(end, 0, LEN);
	edu_memcpy(&edu, IOBA(2), last, LEN);
	EXPECT_FALSE(is_filled(end, LEN, 1));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), 0));
	edu_close(&edu);
}

/* ------------------------------------------------------------------ */
/* Guests that the test itself opens */

FIXTURE(lifetime)
{
	struct guest g;
	struct guest_config config;
	struct spapr_account base;
};

FIXTURE_SETUP(lifetime)
{
	self->config = (struct guest_config){
		.size = 2 * MIB, .nr_cpus = 1, .shift = 12, .hw_shift = 12,
		.window = WINDOW,
	};
	guest_init(&self->g);
	NEED_DEVICES(return, 1);
	spapr_account(&self->base);
}

FIXTURE_TEARDOWN(lifetime)
{
	guest_close(&self->g);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* Opens a guest and maps memory by each of the calls. */
static int open_with_mappings(struct guest *g, const struct guest_config *c)
{
	struct cpu *cpu = &g->vm.cpu[0];
	int ret = __guest_open(g, c);

	if (ret)
		return ret;
	set_list(g, 0, MIB | TCE_RW);
	set_list(g, 1, MIB | TCE_READ);
	if (h_put_tce(cpu, LIOBN, g->window, MIB | TCE_RW) ||
	    h_put_tce_indirect(cpu, LIOBN, g->window + 16 * IOMMU_PAGE, LIST,
			       2))
		return -EIO;
	return try_unregister(g) == -EBUSY ? 0 : -EIO;
}

static void close_part(struct guest *g, unsigned int part)
{
	switch (part) {
	case 0:
		guest_close_table(g);
		break;
	case 1:
		close(g->vm.vfio);
		g->vm.vfio = -1;
		break;
	case 2:
		spapr_close(&g->s);
		break;
	case 3:
		vm_close_cpus(&g->vm);
		close(g->vm.fd);
		g->vm.fd = -1;
		break;
	}
}

#define PARTS		4
#define ORDERS		24

/* Returns the n-th permutation of the parts. */
static void order_of(unsigned int n, unsigned int *order)
{
	unsigned int i, j;

	for (i = 0; i < PARTS; i++) {
		j = n % (i + 1);
		n /= i + 1;
		order[i] = order[j];
		order[j] = i;
	}
}

TEST_F_TIMEOUT(lifetime, closed_in_every_order, SECONDS)
{
	unsigned int order[PARTS] = { 0 }, n, i;

	for (n = 0; n < ORDERS; n++) {
		ASSERT_EQ(0, open_with_mappings(&self->g, &self->config));
		order_of(n, order);
		for (i = 0; i < PARTS; i++)
			close_part(&self->g, order[i]);
		guest_close(&self->g);
		EXPECT_EQ(self->base.pins, spapr_pins_settle(self->base.pins)) {
			TH_LOG("order %u%u%u%u", order[0], order[1], order[2],
			       order[3]);
		}
		EXPECT_EQ(self->base.locked, spapr_locked());
	}
}

TEST_F(lifetime, a_process_ends_with_mappings)
{
	EXPECT_IN_CHILD(!open_with_mappings(&self->g, &self->config));
}

/* The container belongs to this process, the VM to the child. */
static bool try_group_of_parent(int group, const struct guest_config *config,
				__u64 window)
{
	struct guest_config no_device = *config;
	struct guest g;

	no_device.hw_shift = 0;
	if (__guest_open(&g, &no_device))
		return false;
	guest_close_table(&g);
	g.table = __vm_table(&g.vm, LIOBN, 12, window >> 12, 16);
	if (g.table < 0 || __vm_add_group(&g.vm, group))
		return false;
	if (__vm_attach(&g.vm, group, g.table) < 0)
		return true;
	/* the call must not have an effect then */
	h_put_tce(&g.vm.cpu[0], LIOBN, window, MIB | TCE_RW);
	h_put_tce(&g.vm.cpu[0], LIOBN, window, 0);
	return false;
}

TEST_F(lifetime, the_container_of_another_process)
{
	struct guest *g = &self->g;
	struct cpu *cpu = &g->vm.cpu[0];

	ASSERT_EQ(0, __guest_open(g, &self->config));
	EXPECT_EQ(H_SUCCESS, h_put_tce(cpu, LIOBN, g->window, MIB | TCE_RW));
	EXPECT_IN_CHILD(try_group_of_parent(g->s.group[0], &self->config,
					    g->window));
	EXPECT_ERRNO(EBUSY, try_unregister(g));
	EXPECT_EQ(H_SUCCESS, h_put_tce(cpu, LIOBN, g->window, 0));
	EXPECT_EQ(0, try_unregister(g));
}

TEST_F(lifetime, a_container_of_version_1)
{
	struct guest *g = &self->g;
	struct cpu *cpu = &g->vm.cpu[0];
	struct vfio_iommu_spapr_tce_info info;
	__u64 start;

	self->config.hw_shift = 0;
	ASSERT_EQ(0, __guest_open(g, &self->config));
	spapr_open(&g->s, VFIO_SPAPR_TCE_IOMMU, 1);
	spapr_enable(g->s.fd);
	spapr_info(g->s.fd, &info);
	start = info.dma32_window_start;
	spapr_map(g->s.fd, start, g->mem, 64 * KIB, SPAPR_RW);
	guest_close_table(g);
	g->table = __vm_table(&g->vm, LIOBN, 12, start >> 12, 16);
	ASSERT_LE(0, g->table);
	EXPECT_GT(0, __guest_attach(g, 0));
	/* not registered: user space must see all calls and map */
	set_list(g, 0, MIB | TCE_RW);
	EXPECT_EQ(H_TO_USER, h_put_tce(cpu, LIOBN, start, 0));
	EXPECT_EQ(H_TO_USER,
		  h_put_tce(cpu, LIOBN, start + IOMMU_PAGE, MIB | TCE_RW));
	EXPECT_EQ(H_TO_USER, h_put_tce_indirect(cpu, LIOBN, start, LIST, 1));
	EXPECT_EQ(H_TO_USER, h_stuff_tce(cpu, LIOBN, start, 0, 2));
	/* no entry: also no page of the shadow for its value */
	EXPECT_EQ(H_TO_USER, h_stuff_tce(cpu, LIOBN, start, 0x5000, 0));
	EXPECT_EQ(H_PARAMETER,
		  h_put_tce(cpu, LIOBN, start + IOMMU_PAGE * 16, 0));
	/* the container has the mappings of user space, and releases them */
	spapr_unmap(g->s.fd, start, 64 * KIB);
	EXPECT_EQ(self->base.pins, spapr_pins_settle(self->base.pins));
	spapr_disable(g->s.fd);
	EXPECT_EQ(H_SUCCESS, h_put_tce(cpu, LIOBN, start, MIB | TCE_RW));
	spapr_enable(g->s.fd);
	EXPECT_EQ(H_TO_USER, h_put_tce(cpu, LIOBN, start, 0));
	/* the container is released with the last holder of its group */
	ASSERT_EQ(0, __vm_del_group(&g->vm, g->s.group[0]));
	spapr_close(&g->s);
	EXPECT_EQ(H_SUCCESS, h_put_tce(cpu, LIOBN, start, 0));
}

TEST_HARNESS_MAIN
