// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dispatch of TCE hypercalls on a POWER8 host: real mode handles fast calls,
 * virtual mode those that need memory, time or more locks, and user space the
 * rest. Each reason why real mode leaves a call to others is provoked here, and
 * KVM's counters show which of them completed it, correctly.
 *
 * Two reasons cannot be provoked in isolation: a lock that is held for too
 * long, which kvm_tce_races makes likely, and read-only memory slots, which KVM
 * does not have on powerpc.
 */
#define _GNU_SOURCE
#include <fcntl.h>

#include "edu.h"
#include "kvm_tce.h"
#include "memkind.h"

static void __attribute__((constructor)) need_real_mode(void)
{
	if (!vm_has_real_mode())
		ksft_exit_skip(VM_NEEDS_REAL_MODE "\n");
	if (!vm_real_mode())
		ksft_exit_skip("needs real mode: write Y to debugfs' powerpc/kvm_tce_real_mode\n");
}

#define SECONDS		120
#define WINDOW		GIB
#define MEM_SIZE	(4 * MIB)
/* Entries per page of the shadow, and per leaf of the view */
#define VIEW_PAGE	(spapr_page_size() / sizeof(__u64))
#define BLOCK		512UL
/* A page of the shadow that WARM_UP() does not touch, with pages of any size */
#define COLD_PAGE	(VIEW_PAGE > 2 * BLOCK ? VIEW_PAGE : 2 * BLOCK)
/* Maximal number of entries of the fast path */
#define AT_ONCE		512UL

/* The n-th page of bus addresses; of memory behind program and list */
#define IOBA(n)		(self->g.window + (n) * self->page)
#define TCE(n)		((MIB + (n) % 512 * IOMMU_PAGE) | TCE_RW)

/* ------------------------------------------------------------------ */
/* Context that completed a call */

enum by {
	NOBODY = -1,		/* not one call, or counted twice */
	REAL_MODE,
	VIRTUAL_MODE,
	USER_SPACE,
};

struct counts {
	long hcalls;
	long entries;
	long user;
	long realmode;
	long kills;
};

static struct counts counts(void)
{
	return (struct counts){
		.hcalls = vm_count("tce_hcalls"),
		.entries = vm_count("tce_entries"),
		.user = vm_count("tce_user"),
		.realmode = vm_count("tce_realmode"),
		.kills = vm_count("tce_kills"),
	};
}

static enum by by_whom(struct counts was)
{
	struct counts is = counts();
	long hcalls = is.hcalls - was.hcalls;
	long realmode = is.realmode - was.realmode;

	if (is.hcalls < 0 || hcalls + is.user - was.user != 1)
		return NOBODY;
	if (!hcalls)
		return realmode ? NOBODY : USER_SPACE;
	if (realmode)
		return realmode == 1 ? REAL_MODE : NOBODY;
	return VIRTUAL_MODE;
}

/* One hypercall: its return value, and the context that completed it */
#define EXPECT_ANSWER(answer, who, call) do {				\
	struct counts __was = counts();					\
									\
	EXPECT_EQ(answer, call);					\
	EXPECT_EQ(who, by_whom(__was)) {				\
		TH_LOG("0: real mode, 1: virtual mode, 2: user space"); \
	}								\
} while (0)

#define EXPECT_REAL(call)	EXPECT_ANSWER(H_SUCCESS, REAL_MODE, call)
#define EXPECT_VIRTUAL(call)	EXPECT_ANSWER(H_SUCCESS, VIRTUAL_MODE, call)
#define EXPECT_USER(call)	EXPECT_ANSWER(H_TO_USER, USER_SPACE, call)

/* The same with the entries it has written, and the number of invalidations */
#define EXPECT_COUNTED(nr_entries, nr_kills, call) do {			\
	struct counts __before = counts(), __after;			\
									\
	EXPECT_REAL(call);						\
	__after = counts();						\
	EXPECT_EQ((long)(nr_entries),					\
		  __after.entries - __before.entries);			\
	EXPECT_EQ((long)(nr_kills), __after.kills - __before.kills);	\
} while (0)

/* ------------------------------------------------------------------ */
/* Mappings: all windows of a container and all regions must agree */

static long mapped_by(int fd, const char *item)
{
	char path[64], line[512], *at;
	long sum = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		at = strstr(line, " mapped=");
		if (at && !strncmp(line, item, strlen(item)))
			sum += strtol(at + 8, NULL, 10);
	}
	fclose(file);
	return sum;
}

#define EXPECT_MAPPED(n) do {						\
	long __n = (n);							\
									\
	EXPECT_EQ(__n, mapped_by(self->g.s.fd, "spapr_tce_window:"));	\
	EXPECT_EQ(!__n, !mapped_by(self->g.s.fd, "spapr_tce_region:"));	\
} while (0)

/* ------------------------------------------------------------------ */
/* Guest with two processors and a device, 4K pages */

FIXTURE(real)
{
	struct guest g;
	struct spapr_account base;
	struct spapr second;	/* second container, if any */
	struct cpu *cpu;
	size_t page;
	char *other;		/* memory for a second slot */
};

FIXTURE_SETUP(real)
{
	struct guest_config config = {
		.size = MEM_SIZE, .nr_cpus = 2, .shift = 12, .hw_shift = 12,
		.window = WINDOW,
	};

	guest_init(&self->g);
	self->second.fd = -1;
	NEED_DEVICES(return, 1);
	ASSERT_LE(0, vm_count("tce_realmode"));
	spapr_account(&self->base);
	ASSERT_EQ(0, __guest_open(&self->g, &config));
	self->cpu = &self->g.vm.cpu[0];
	self->page = IOMMU_PAGE;
}

FIXTURE_TEARDOWN(real)
{
	if (self->second.fd >= 0)
		spapr_close(&self->second);
	guest_close(&self->g);
	if (self->page)
		EXPECT_ACCOUNT(&self->base, 0, 0);
}

static void list_of(struct guest *g, unsigned long first, unsigned long n)
{
	unsigned long i;

	for (i = 0; i < n; i++)
		set_list(g, i, TCE(first + i));
}

/*
 * State after the first calls of a guest: scratch memory of the processor and,
 * for the first entries, a page of the shadow and leaves of the view. Nothing
 * is mapped.
 */
#define WARM_UP() do {							\
	list_of(&self->g, 0, LIST_MAX);					\
	ASSERT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST, LIST_MAX));	\
	ASSERT_EQ(H_SUCCESS, PUT_LIST(IOBA(BLOCK), LIST, LIST_MAX));	\
	ASSERT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, 2 * BLOCK));		\
	EXPECT_MAPPED(0);						\
} while (0)

/* Adds a second slot; its registered memory is a separate region. */
static int add_other(struct guest *g, char **mem, size_t size)
{
	*mem = mem_reserve(size, GUEST_ALIGN);
	if (!*mem || !mem_map(MEM_ANON, *mem, size))
		return -ENOMEM;
	return __vm_slot(&g->vm, 1, OTHER, *mem, size);
}

#define OTHER_SIZE	MIB
#define ADD_OTHER()	\
	ASSERT_EQ(0, add_other(&self->g, &self->other, OTHER_SIZE))
#define OTHER_TCE(n)	((OTHER + (n) * IOMMU_PAGE) | TCE_RW)

/* ------------------------------------------------------------------ */
/* Calls that real mode must complete */

TEST_F(real, put_maps_replaces_and_clears)
{
	WARM_UP();
	EXPECT_COUNTED(1, 1, PUT(IOBA(0), TCE(0)));
	EXPECT_MAPPED(1);
	EXPECT_COUNTED(1, 1, PUT(IOBA(0), TCE(1)));
	EXPECT_COUNTED(1, 1, PUT(IOBA(1), TCE(1) & ~TCE_WRITE));
	EXPECT_MAPPED(2);
	EXPECT_GOT(TCE(1), IOBA(0));
	EXPECT_COUNTED(1, 1, PUT(IOBA(0), 0));
	EXPECT_COUNTED(1, 1, PUT(IOBA(1), NOWHERE));
	EXPECT_MAPPED(0);
	EXPECT_GOT(NOWHERE, IOBA(1));
	/* nothing was mapped, so nothing must be invalidated */
	EXPECT_COUNTED(1, 0, PUT(IOBA(0), 0));
}

TEST_F_TIMEOUT(real, lists_of_every_length, SECONDS)
{
	unsigned long n, at;

	WARM_UP();
	for (n = 1; n <= LIST_MAX; n++) {
		at = n % 3 ? n : BLOCK - n / 2;
		EXPECT_COUNTED(n, 1, PUT_LIST(IOBA(at), LIST, n));
		EXPECT_GOT(TCE(n - 1), IOBA(at + n - 1));
		EXPECT_COUNTED(n, 1, STUFF(IOBA(at), 0, n));
	}
	EXPECT_MAPPED(0);
}

TEST_F(real, lists_that_replace_clear_and_jump)
{
	unsigned long i;

	WARM_UP();
	EXPECT_COUNTED(512, 1, PUT_LIST(IOBA(0), LIST, 512));
	for (i = 0; i < 512; i++)
		set_list(&self->g, i, i % 3 ? TCE(i * 7) : 0);
	EXPECT_COUNTED(512, 1, PUT_LIST(IOBA(0), LIST, 512));
	EXPECT_MAPPED(341);
	EXPECT_GOT(TCE(511 * 7), IOBA(511));
	EXPECT_GOT(0, IOBA(510));
	for (i = 0; i < 512; i++)
		set_list(&self->g, i, NOWHERE);
	EXPECT_COUNTED(512, 1, PUT_LIST(IOBA(0), LIST, 512));
	EXPECT_MAPPED(0);
}

TEST_F(real, stuff_clears_up_to_512)
{
	WARM_UP();
	EXPECT_COUNTED(512, 1, PUT_LIST(IOBA(100), LIST, 512));
	EXPECT_COUNTED(1, 1, STUFF(IOBA(100), 0, 1));
	EXPECT_MAPPED(511);
	EXPECT_COUNTED(512, 1, STUFF(IOBA(100), 0x5000, 512));
	EXPECT_MAPPED(0);
	EXPECT_GOT(0x5000, IOBA(611));
	EXPECT_COUNTED(512, 0, STUFF(IOBA(100), 0, 512));
	EXPECT_COUNTED(0, 0, STUFF(IOBA(100), 0, 0));
	/* absent pages of the shadow read as zero already */
	EXPECT_COUNTED(10, 0, STUFF(IOBA(5 * VIEW_PAGE - 5), 0, 10));
}

/* KVM does not count it, but traces it in virtual mode. */
TEST_F(real, get_is_real_mode)
{
	struct vm_switch sw;

	WARM_UP();
	EXPECT_REAL(PUT(IOBA(3), TCE(3)));
	ASSERT_EQ(0, spapr_trace_begin("kvm_vio"));
	EXPECT_GOT(TCE(3), IOBA(3));
	EXPECT_GOT(0, IOBA(5 * VIEW_PAGE));
	EXPECT_FALSE(spapr_trace_has("H_GET_TCE"));
	if (!vm_real_mode_off(&sw)) {
		EXPECT_GOT(TCE(3), IOBA(3));
		vm_real_mode_restore(&sw);
		EXPECT_TRUE(spapr_trace_has("H_GET_TCE"));
	}
	spapr_trace_end("kvm_vio");
}

TEST_F(real, errors_are_found_in_real_mode)
{
	WARM_UP();
	EXPECT_ANSWER(H_PARAMETER, REAL_MODE, PUT(IOBA(0) + 1, TCE(0)));
	EXPECT_ANSWER(H_PARAMETER, REAL_MODE, PUT(self->g.window + WINDOW, 0));
	EXPECT_ANSWER(H_PARAMETER, REAL_MODE,
		      PUT_LIST(self->g.window + WINDOW - IOMMU_PAGE, LIST, 2));
	EXPECT_MAPPED(0);
}

TEST_F(real, stuff_with_permissions)
{
	WARM_UP();
	EXPECT_REAL(PUT(IOBA(0), TCE(0)));
	EXPECT_USER(STUFF(IOBA(0), TCE(1), 1));
	EXPECT_USER(STUFF(IOBA(0), TCE(1), 512));
	EXPECT_ANSWER(H_PARAMETER, REAL_MODE,
		      STUFF(self->g.window + WINDOW - IOMMU_PAGE, TCE(0), 2));
	EXPECT_GOT(TCE(0), IOBA(0));
	EXPECT_MAPPED(1);
	EXPECT_REAL(PUT(IOBA(0), 0));
}

TEST_F(real, the_switch_turns_it_off)
{
	struct vm_switch sw;

	WARM_UP();
	if (vm_real_mode_off(&sw))
		SKIP(return, "needs CONFIG_KVM_BOOK3S_64_TCE_SWITCH");
	EXPECT_VIRTUAL(PUT(IOBA(0), TCE(0)));
	EXPECT_VIRTUAL(PUT_LIST(IOBA(1), LIST, 2));
	EXPECT_MAPPED(3);
	EXPECT_VIRTUAL(STUFF(IOBA(0), 0, 3));
	vm_real_mode_restore(&sw);
	EXPECT_REAL(PUT(IOBA(0), TCE(0)));
	EXPECT_REAL(STUFF(IOBA(0), 0, 3));
	EXPECT_MAPPED(0);
}

/* The device must see the updates that the counters show. */
TEST_F_TIMEOUT(real, the_device_reaches_it, SECONDS)
{
	char *from = self->g.mem + MIB, *to = from + IOMMU_PAGE;
	struct edu edu;

	WARM_UP();
	ASSERT_EQ(0, edu_open(&edu, self->g.s.group[0], spapr_bdf(0)));
	EXPECT_REAL(PUT_LIST(IOBA(0), LIST, 2));
	fill(from, EDU_DMA_MAX, 1);
	EXPECT_EQ(0, edu_memcpy(&edu, IOBA(1), IOBA(0), EDU_DMA_MAX));
	EXPECT_TRUE(is_filled(to, EDU_DMA_MAX, 1));
	/* replaced: the first page moves */
	EXPECT_REAL(PUT(IOBA(0), TCE(2)));
	fill(from + 2 * IOMMU_PAGE, EDU_DMA_MAX, 2);
	EXPECT_EQ(0, edu_memcpy(&edu, IOBA(1), IOBA(0), EDU_DMA_MAX));
	EXPECT_TRUE(is_filled(to, EDU_DMA_MAX, 2));
	/* cleared */
	EXPECT_REAL(STUFF(IOBA(1), 0, 1));
	memset(to, 0, EDU_DMA_MAX);
	edu_memcpy(&edu, IOBA(1), IOBA(0), EDU_DMA_MAX);
	EXPECT_FALSE(is_filled(to, EDU_DMA_MAX, 2));
	EXPECT_REAL(PUT(IOBA(0), 0));
	edu_close(&edu);
}

/* ------------------------------------------------------------------ */
/* Missing objects, which exist in the next call */

TEST_F(real, the_first_list_of_a_processor)
{
	WARM_UP();
	self->cpu = &self->g.vm.cpu[1];
	EXPECT_REAL(PUT(IOBA(0), TCE(0)));
	EXPECT_VIRTUAL(PUT_LIST(IOBA(1), LIST, 1));
	EXPECT_REAL(PUT_LIST(IOBA(2), LIST, 4));
	EXPECT_MAPPED(6);
	EXPECT_GOT(TCE(0), IOBA(1));
	EXPECT_REAL(STUFF(IOBA(0), 0, 6));
	EXPECT_MAPPED(0);
}

/* User space maps a page there before, so that the leaf exists. */
TEST_F(real, a_page_of_the_view_is_missing)
{
	unsigned long first = COLD_PAGE, second = COLD_PAGE + VIEW_PAGE;
	struct guest *g = &self->g;

	WARM_UP();
	spapr_map(g->s.fd, IOBA(first), g->mem, IOMMU_PAGE, SPAPR_RW);
	EXPECT_VIRTUAL(PUT(IOBA(first), TCE(0)));
	EXPECT_REAL(PUT(IOBA(first + 1), TCE(1)));
	EXPECT_MAPPED(2);
	EXPECT_GOT(TCE(0), IOBA(first));
	/* a list that crosses from a present to an absent page of the shadow */
	spapr_map(g->s.fd, IOBA(second - 1), g->mem, 2 * IOMMU_PAGE, SPAPR_RW);
	EXPECT_VIRTUAL(PUT_LIST(IOBA(second - 1), LIST, 2));
	EXPECT_REAL(PUT_LIST(IOBA(second - 1), LIST, 2));
	EXPECT_GOT(TCE(1), IOBA(second));
	EXPECT_MAPPED(4);
	EXPECT_EQ(0, __spapr_unmap(g->s.fd, g->window, WINDOW));
	/* H_STUFF_TCE needs the shadow for nonzero values */
	EXPECT_VIRTUAL(STUFF(IOBA(4 * VIEW_PAGE), 0x5000, 1));
	EXPECT_REAL(STUFF(IOBA(4 * VIEW_PAGE), 0x6000, 2));
	EXPECT_GOT(0x6000, IOBA(4 * VIEW_PAGE + 1));
}

TEST_F(real, user_space_has_made_the_page_of_the_view)
{
	size_t size = (COLD_PAGE + VIEW_PAGE) * sizeof(__u64);
	unsigned long *view = map_view(self->g.table, size);
	struct guest *g = &self->g;

	ASSERT_NE(NULL, view);
	WARM_UP();
	spapr_map(g->s.fd, IOBA(COLD_PAGE), g->mem, IOMMU_PAGE, SPAPR_RW);
	view[COLD_PAGE + 1] = 0x1000;
	EXPECT_REAL(PUT(IOBA(COLD_PAGE), TCE(0)));
	EXPECT_EQ(TCE(0), view[COLD_PAGE]);
	EXPECT_GOT(0x1000, IOBA(COLD_PAGE + 1));
	EXPECT_REAL(PUT(IOBA(COLD_PAGE), 0));
	EXPECT_MAPPED(0);
	munmap(view, size);
}

/* The shadow exists, the leaf of the view does not. */
TEST_F(real, a_block_of_the_table_is_missing)
{
	unsigned long first = 4 * BLOCK, second = 6 * BLOCK;

	WARM_UP();
	/* nothing can be mapped there, so clearing is complete */
	EXPECT_COUNTED(512, 0, STUFF(IOBA(first), 0, 512));
	EXPECT_VIRTUAL(PUT(IOBA(first), TCE(0)));
	EXPECT_REAL(PUT(IOBA(first + BLOCK - 1), TCE(1)));
	EXPECT_REAL(PUT(IOBA(first), TCE(2)));
	EXPECT_MAPPED(2);
	/* at the end of a list */
	EXPECT_VIRTUAL(PUT(IOBA(second), TCE(0)));
	EXPECT_VIRTUAL(PUT_LIST(IOBA(second + BLOCK - 2), LIST, 4));
	EXPECT_REAL(PUT_LIST(IOBA(second + BLOCK - 2), LIST, 4));
	EXPECT_MAPPED(7);
	EXPECT_GOT(TCE(3), IOBA(second + BLOCK + 1));
	EXPECT_VIRTUAL(STUFF(IOBA(0), 0, WINDOW / IOMMU_PAGE));
	EXPECT_MAPPED(0);
}

/*
 * Drivers map a page per I/O and unmap it afterwards, at new addresses each
 * time: nothing is missing in the second pass over the window.
 */
TEST_F_TIMEOUT(real, a_walk_through_the_window, SECONDS)
{
	unsigned long i, round, step = 61, calls = 0;
	struct counts was, is;

	for (round = 0; round < 2; round++) {
		was = counts();
		for (i = 0; i < WINDOW / IOMMU_PAGE; i += step) {
			ASSERT_EQ(H_SUCCESS, PUT(IOBA(i), TCE(i)));
			ASSERT_EQ(H_SUCCESS, i % 2 ? STUFF(IOBA(i), 0, 1) :
						     PUT(IOBA(i), 0));
			calls += 2;
		}
	}
	is = counts();
	EXPECT_EQ((long)calls / 2, is.hcalls - was.hcalls);
	EXPECT_EQ(is.hcalls - was.hcalls, is.realmode - was.realmode);
	EXPECT_EQ(is.hcalls - was.hcalls, is.kills - was.kills);
	EXPECT_MAPPED(0);
}

/* ------------------------------------------------------------------ */
/* Too much for real mode */

TEST_F(real, stuff_of_more_than_512)
{
	WARM_UP();
	EXPECT_REAL(PUT_LIST(IOBA(0), LIST, 512));
	EXPECT_REAL(PUT(IOBA(512), TCE(0)));
	EXPECT_VIRTUAL(STUFF(IOBA(0), 0x7000, 513));
	EXPECT_MAPPED(0);
	EXPECT_GOT(0x7000, IOBA(512));
	EXPECT_REAL(STUFF(IOBA(0), 0, 512));
	EXPECT_GOT(0, IOBA(511));
}

TEST_F(real, a_list_that_is_none)
{
	WARM_UP();
	EXPECT_VIRTUAL(PUT_LIST(IOBA(0), LIST, 0));
	EXPECT_ANSWER(H_PARAMETER, VIRTUAL_MODE, PUT_LIST(IOBA(0), LIST, 513));
	EXPECT_ANSWER(H_PARAMETER, VIRTUAL_MODE,
		      PUT_LIST(IOBA(0), LIST + 8, 1));
	EXPECT_MAPPED(0);
}

/* Two groups in two containers: two hardware TCE tables. */
TEST_F(real, two_tables_of_the_hardware)
{
	struct vfio_iommu_spapr_tce_info info;
	struct guest *g = &self->g;
	struct spapr *s = &self->second;
	__u64 at;

	NEED_DEVICES(return, 2);
	WARM_UP();
	spapr_open_with(s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_register(s->fd, g->mem, g->size);
	spapr_info(s->fd, &info);
	spapr_remove(s->fd, info.dma32_window_start);
	ASSERT_EQ(0, __spapr_create_rising(s->fd, 12, WINDOW, info.ddw.levels,
					   &at));
	ASSERT_EQ(g->window, at);
	ASSERT_EQ(0, __vm_add_group(&g->vm, s->group[1]));
	ASSERT_EQ(0, __vm_attach(&g->vm, s->group[1], g->table));

	EXPECT_VIRTUAL(PUT(IOBA(0), TCE(0)));
	EXPECT_VIRTUAL(PUT(IOBA(0), TCE(1)));
	EXPECT_VIRTUAL(PUT_LIST(IOBA(1), LIST, 4));
	EXPECT_GOT(TCE(3), IOBA(4));
	EXPECT_EQ(5, mapped_by(g->s.fd, "spapr_tce_window:"));
	EXPECT_EQ(5, mapped_by(s->fd, "spapr_tce_window:"));
	EXPECT_LT(0, mapped_by(g->s.fd, "spapr_tce_region:"));
	EXPECT_VIRTUAL(STUFF(IOBA(0), 0, 5));
	EXPECT_EQ(0, mapped_by(s->fd, "spapr_tce_window:"));
	EXPECT_MAPPED(0);
	/* with one of them it continues as before */
	ASSERT_EQ(0, __vm_del_group(&g->vm, s->group[1]));
	EXPECT_REAL(PUT(IOBA(0), TCE(0)));
	EXPECT_REAL(PUT(IOBA(0), 0));
}

/* No hardware TCE table: only the shadow is written. */
TEST_F(real, no_table_of_the_hardware)
{
	struct guest *g = &self->g;

	ASSERT_EQ(0, __vm_del_group(&g->vm, g->s.group[0]));
	EXPECT_VIRTUAL(PUT(IOBA(0), TCE(0)));
	EXPECT_COUNTED(1, 0, PUT(IOBA(1), TCE(1)));
	list_of(g, 0, 4);
	EXPECT_VIRTUAL(PUT_LIST(IOBA(2), LIST, 4));
	EXPECT_COUNTED(4, 0, PUT_LIST(IOBA(2), LIST, 4));
	EXPECT_GOT(TCE(3), IOBA(5));
	EXPECT_COUNTED(6, 0, STUFF(IOBA(0), 0, 6));
	EXPECT_GOT(0, IOBA(5));
	EXPECT_MAPPED(0);
}

/* ------------------------------------------------------------------ */
/* List of TCEs */

static int set_at(void *mem, unsigned int i, unsigned long tce)
{
	((__u64 *)mem)[i] = htobe64(tce);
	return 0;
}

/* The page is in the file, but not populated in the process any more. */
TEST_F(real, the_page_of_the_list_is_not_there)
{
	size_t size = 16 * MIB, page = spapr_page_size();
	char *disk = mem_map(MEM_DISK_SHARED, NULL, size);

	if (!disk)
		SKIP(return, "%s", mem_why());
	WARM_UP();
	ASSERT_EQ(0, __vm_slot(&self->g.vm, 1, OTHER, disk, size));
	set_at(disk, 0, TCE(4));
	ASSERT_EQ(0, msync(disk, page, MS_SYNC));
	EXPECT_EQ(0, madvise(disk, page, MADV_DONTNEED));
	EXPECT_VIRTUAL(PUT_LIST(IOBA(0), OTHER, 1));
	EXPECT_GOT(TCE(4), IOBA(0));
	EXPECT_REAL(PUT_LIST(IOBA(1), OTHER, 1));
	EXPECT_EQ(0, madvise(disk, page, MADV_DONTNEED));
	EXPECT_VIRTUAL(PUT_LIST(IOBA(2), OTHER, 1));
	EXPECT_MAPPED(3);
	EXPECT_REAL(STUFF(IOBA(0), 0, 3));
	munmap(disk, size);
}

/* Memory that was never touched reads as zeros. */
TEST_F(real, the_page_of_the_list_was_never_there)
{
	WARM_UP();
	ADD_OTHER();
	EXPECT_REAL(PUT_LIST(IOBA(0), LIST, 4));
	EXPECT_EQ(0, madvise(self->other, OTHER_SIZE, MADV_DONTNEED));
	EXPECT_VIRTUAL(PUT_LIST(IOBA(0), OTHER, 4));
	EXPECT_MAPPED(0);
	EXPECT_GOT(0, IOBA(3));
	EXPECT_REAL(PUT_LIST(IOBA(0), OTHER, 4));
}

TEST_F(real, the_list_cannot_be_read)
{
	WARM_UP();
	ADD_OTHER();
	set_at(self->other, 0, TCE(5));
	EXPECT_REAL(PUT_LIST(IOBA(0), OTHER, 1));
	ASSERT_EQ(0, mprotect(self->other, OTHER_SIZE, PROT_NONE));
	set_list(&self->g, 0, TCE(6));
	EXPECT_USER(PUT_LIST(IOBA(0), OTHER, 1));
	EXPECT_USER(PUT_LIST(IOBA(1), OTHER, 1));
	EXPECT_GOT(TCE(5), IOBA(0));
	EXPECT_MAPPED(1);
	/* read access is sufficient */
	ASSERT_EQ(0, mprotect(self->other, OTHER_SIZE, PROT_READ));
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(1), OTHER, 1));
	EXPECT_REAL(PUT_LIST(IOBA(2), OTHER, 1));
	EXPECT_MAPPED(3);
	EXPECT_REAL(STUFF(IOBA(0), 0, 3));
}

/* Other memory was mapped at the same address: it must be read. */
TEST_F(real, the_list_is_elsewhere_now)
{
	WARM_UP();
	ADD_OTHER();
	set_at(self->other, 0, TCE(5));
	EXPECT_REAL(PUT_LIST(IOBA(0), OTHER, 1));
	ASSERT_NE(NULL, mem_map(MEM_ANON, self->other, OTHER_SIZE));
	set_at(self->other, 0, TCE(6));
	EXPECT_REAL(PUT_LIST(IOBA(0), OTHER, 1));
	EXPECT_GOT(TCE(6), IOBA(0));
	EXPECT_REAL(PUT(IOBA(0), 0));
}

TEST_F(real, the_list_is_in_no_slot)
{
	WARM_UP();
	EXPECT_USER(PUT_LIST(IOBA(0), NOWHERE, 1));
	EXPECT_USER(PUT_LIST(IOBA(0), MEM_SIZE, 1));
	ADD_OTHER();
	set_at(self->other, 0, TCE(5));
	EXPECT_REAL(PUT_LIST(IOBA(0), OTHER, 1));
	ASSERT_EQ(0, __vm_slot(&self->g.vm, 1, OTHER, self->other, 0));
	EXPECT_USER(PUT_LIST(IOBA(0), OTHER, 1));
	EXPECT_GOT(TCE(5), IOBA(0));
	EXPECT_REAL(PUT(IOBA(0), 0));
	EXPECT_MAPPED(0);
}

/* ------------------------------------------------------------------ */
/* Memory */

TEST_F(real, two_regions_in_one_run)
{
	struct guest *g = &self->g;
	size_t part = MIB + 4 * spapr_page_size();
	unsigned long last = (part - MIB) / IOMMU_PAGE;

	WARM_UP();
	spapr_unregister(g->s.fd, g->mem, g->size);
	spapr_register(g->s.fd, g->mem, part);
	spapr_register(g->s.fd, g->mem + part, g->size - part);
	list_of(g, last - 2, 4);
	EXPECT_VIRTUAL(PUT_LIST(IOBA(0), LIST, 4));
	EXPECT_GOT(TCE(last + 1), IOBA(3));
	EXPECT_MAPPED(4);
	EXPECT_ERRNO(EBUSY, __spapr_unregister(g->s.fd, g->mem, part));
	EXPECT_ERRNO(EBUSY, __spapr_unregister(g->s.fd, g->mem + part,
					       g->size - part));
	EXPECT_REAL(STUFF(IOBA(0), 0, 4));
	EXPECT_MAPPED(0);
	/* up to the border, and both in one list but not in one segment */
	EXPECT_REAL(PUT_LIST(IOBA(0), LIST, 2));
	set_list(g, 0, TCE(last));
	set_list(g, 1, TCE(last - 1));
	EXPECT_REAL(PUT_LIST(IOBA(0), LIST, 2));
	EXPECT_MAPPED(2);
	EXPECT_REAL(STUFF(IOBA(0), 0, 2));
	spapr_unregister(g->s.fd, g->mem, part);
	spapr_unregister(g->s.fd, g->mem + part, g->size - part);
}

TEST_F(real, memory_that_may_only_be_read)
{
	struct guest *g = &self->g;

	WARM_UP();
	ADD_OTHER();
	memset(self->other, 1, OTHER_SIZE);
	ASSERT_EQ(0, mprotect(self->other, OTHER_SIZE, PROT_READ));
	spapr_register(g->s.fd, self->other, OTHER_SIZE);
	EXPECT_USER(PUT(IOBA(0), OTHER_TCE(0)));
	EXPECT_USER(PUT(IOBA(0), OTHER | TCE_WRITE));
	set_list(g, 0, TCE(0));
	set_list(g, 1, OTHER_TCE(0));
	EXPECT_USER(PUT_LIST(IOBA(0), LIST, 2));
	EXPECT_GOT(0, IOBA(0));
	EXPECT_MAPPED(0);
	EXPECT_REAL(PUT(IOBA(0), OTHER | TCE_READ));
	EXPECT_GOT(OTHER | TCE_READ, IOBA(0));
	EXPECT_MAPPED(1);
	EXPECT_ERRNO(EBUSY, __spapr_unregister(g->s.fd, self->other,
					       OTHER_SIZE));
	EXPECT_REAL(PUT(IOBA(0), 0));
	spapr_unregister(g->s.fd, self->other, OTHER_SIZE);
}

TEST_F(real, memory_that_is_not_registered)
{
	struct guest *g = &self->g;

	WARM_UP();
	ADD_OTHER();
	EXPECT_REAL(PUT(IOBA(0), TCE(0)));
	EXPECT_USER(PUT(IOBA(0), OTHER_TCE(0)));
	set_list(g, 2, OTHER_TCE(0));
	EXPECT_USER(PUT_LIST(IOBA(0), LIST, 3));
	EXPECT_GOT(TCE(0), IOBA(0));
	EXPECT_GOT(0, IOBA(1));
	EXPECT_MAPPED(1);
	/* user space completes the call, then it is a normal region */
	spapr_register(g->s.fd, self->other, OTHER_SIZE);
	EXPECT_REAL(PUT(IOBA(0), OTHER_TCE(0)));
	EXPECT_REAL(PUT_LIST(IOBA(0), LIST, 3));
	EXPECT_MAPPED(3);
	EXPECT_REAL(STUFF(IOBA(0), 0, 3));
	spapr_unregister(g->s.fd, self->other, OTHER_SIZE);
	EXPECT_USER(PUT(IOBA(0), OTHER_TCE(0)));
}

TEST_F(real, memory_in_no_slot)
{
	WARM_UP();
	EXPECT_REAL(PUT(IOBA(0), TCE(0)));
	EXPECT_USER(PUT(IOBA(0), NOWHERE | TCE_RW));
	EXPECT_USER(PUT(IOBA(1), MEM_SIZE | TCE_READ));
	set_list(&self->g, 1, NOWHERE | TCE_RW);
	EXPECT_USER(PUT_LIST(IOBA(0), LIST, 2));
	EXPECT_GOT(TCE(0), IOBA(0));
	EXPECT_MAPPED(1);
	EXPECT_REAL(PUT(IOBA(0), 0));
}

/*
 * An UNREGISTER that failed lets the next REGISTER replace the region, which
 * does not matter for real mode. But dropping its last page unpins it, which
 * real mode cannot do.
 */
TEST_F(real, a_region_that_gave_way)
{
	long pages = OTHER_SIZE / spapr_page_size(), pins;
	int fd = self->g.s.fd;

	WARM_UP();
	ADD_OTHER();
	spapr_register(fd, self->other, OTHER_SIZE);
	pins = spapr_pins();
	EXPECT_REAL(PUT(IOBA(9), OTHER_TCE(0)));
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->other, OTHER_SIZE));
	ASSERT_NE(NULL, mem_map(MEM_ANON, self->other, OTHER_SIZE));
	spapr_register(fd, self->other, OTHER_SIZE);
	EXPECT_REAL(PUT(IOBA(0), TCE(0)));
	EXPECT_REAL(PUT(IOBA(0), TCE(1)));
	EXPECT_REAL(PUT_LIST(IOBA(0), LIST, 4));
	EXPECT_REAL(PUT(IOBA(4), OTHER_TCE(0)));
	EXPECT_GOT(OTHER_TCE(0), IOBA(4));
	EXPECT_EQ(6, mapped_by(fd, "spapr_tce_window:"));
	EXPECT_EQ(pins + pages, spapr_pins());
	EXPECT_REAL(STUFF(IOBA(0), 0, 4));
	EXPECT_REAL(PUT(IOBA(4), 0));
	/* its last page is dropped: the call is repeated in virtual mode */
	EXPECT_VIRTUAL(PUT(IOBA(9), 0));
	EXPECT_MAPPED(0);
	EXPECT_EQ(pins, spapr_pins());

	/* the same by a list that replaces the mapping */
	EXPECT_REAL(PUT_LIST(IOBA(8), LIST, 2));
	set_list(&self->g, 1, OTHER_TCE(0));
	EXPECT_REAL(PUT_LIST(IOBA(8), LIST, 2));
	EXPECT_ERRNO(EBUSY, __spapr_unregister(fd, self->other, OTHER_SIZE));
	ASSERT_NE(NULL, mem_map(MEM_ANON, self->other, OTHER_SIZE));
	spapr_register(fd, self->other, OTHER_SIZE);
	EXPECT_EQ(pins + pages, spapr_pins());
	EXPECT_VIRTUAL(PUT_LIST(IOBA(8), LIST, 2));
	EXPECT_GOT(OTHER_TCE(0), IOBA(9));
	EXPECT_MAPPED(2);
	EXPECT_EQ(pins, spapr_pins());
	EXPECT_REAL(STUFF(IOBA(8), 0, 2));
	EXPECT_REAL(PUT(IOBA(0), OTHER_TCE(1)));
	EXPECT_MAPPED(1);
	EXPECT_REAL(PUT(IOBA(0), 0));
	spapr_unregister(fd, self->other, OTHER_SIZE);
}

/* ------------------------------------------------------------------ */
/* Table */

TEST_F(real, the_window_was_removed)
{
	struct guest *g = &self->g;

	WARM_UP();
	EXPECT_REAL(PUT(IOBA(0), TCE(0)));
	spapr_remove(g->s.fd, g->window);
	EXPECT_USER(PUT(IOBA(0), TCE(1)));
	EXPECT_USER(PUT(IOBA(0), 0));
	EXPECT_USER(PUT_LIST(IOBA(0), LIST, 2));
	EXPECT_USER(STUFF(IOBA(0), 0, 2));
	EXPECT_MAPPED(0);
	EXPECT_GOT(TCE(0), IOBA(0));
}

TEST_F(real, the_table_is_unknown)
{
	WARM_UP();
	EXPECT_USER(h_put_tce(self->cpu, LIOBN + 1, IOBA(0), TCE(0)));
	EXPECT_USER(h_put_tce_indirect(self->cpu, LIOBN + 1, IOBA(0), LIST, 1));
	EXPECT_USER(h_stuff_tce(self->cpu, LIOBN + 1, IOBA(0), 0, 1));
	EXPECT_MAPPED(0);
}

/* ------------------------------------------------------------------ */
/* Several hardware TCEs per guest TCE */

FIXTURE(large)
{
	struct guest g;
	struct spapr_account base;
	struct cpu *cpu;
	size_t page;
	unsigned long each;	/* hardware TCEs */
};

FIXTURE_VARIANT(large)
{
	unsigned int shift;
};

FIXTURE_VARIANT_ADD(large, guest_64k)
{
	.shift = 16,
};

FIXTURE_VARIANT_ADD(large, guest_16m)
{
	.shift = 24,
};

FIXTURE_SETUP(large)
{
	struct guest_config config = {
		.size = 48 * MIB, .nr_cpus = 1, .shift = variant->shift,
		.hw_shift = 12, .window = WINDOW,
	};

	guest_init(&self->g);
	NEED_DEVICES(return, 1);
	spapr_account(&self->base);
	ASSERT_EQ(0, __guest_open(&self->g, &config));
	self->cpu = &self->g.vm.cpu[0];
	self->page = 1UL << variant->shift;
	self->each = self->page / IOMMU_PAGE;
}

FIXTURE_TEARDOWN(large)
{
	guest_close(&self->g);
	if (self->page)
		EXPECT_ACCOUNT(&self->base, 0, 0);
}

#define LARGE(n)	(((n) % 2 + 1) * self->page | TCE_RW)

TEST_F(large, as_many_as_are_512_of_the_hardware)
{
	unsigned long max = AT_ONCE / self->each, i;
	struct guest *g = &self->g;

	for (i = 0; i < LIST_MAX; i++)
		set_list(g, i, LARGE(i));
	/* allocates the shadow, the leaves, and the scratch memory */
	EXPECT_VIRTUAL(PUT(IOBA(0), LARGE(0)));
	if (max) {
		EXPECT_REAL(PUT(IOBA(0), LARGE(0)));
		EXPECT_MAPPED(self->each);
		EXPECT_REAL(PUT(IOBA(0), 0));
		EXPECT_COUNTED(1, 1, PUT(IOBA(0), LARGE(1)));
		EXPECT_COUNTED(max, 1, PUT_LIST(IOBA(0), LIST, max));
		EXPECT_MAPPED(AT_ONCE);
		EXPECT_COUNTED(max, 1, STUFF(IOBA(0), 0, max));
		EXPECT_MAPPED(0);
	}
	EXPECT_VIRTUAL(PUT_LIST(IOBA(0), LIST, max + 1));
	EXPECT_VIRTUAL(PUT_LIST(IOBA(0), LIST, max + 1));
	EXPECT_MAPPED((max + 1) * self->each);
	EXPECT_GOT(LARGE(max), IOBA(max));
	EXPECT_VIRTUAL(STUFF(IOBA(0), 0, max + 1));
	EXPECT_GOT(0, IOBA(max));
	EXPECT_MAPPED(0);
}

TEST_F(large, one_is_more_than_512_of_the_hardware)
{
	if (self->each <= AT_ONCE)
		SKIP(return, "the same with pages of 16M");
	EXPECT_VIRTUAL(PUT(IOBA(0), LARGE(0)));
	EXPECT_VIRTUAL(PUT(IOBA(0), LARGE(1)));
	EXPECT_MAPPED(self->each);
	EXPECT_VIRTUAL(PUT(IOBA(0), 0));
	EXPECT_MAPPED(0);
}

TEST_HARNESS_MAIN
