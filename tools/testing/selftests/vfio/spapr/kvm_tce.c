// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCE hypercalls of a guest without a device: return values, and the TCEs that
 * the guest reads afterwards.
 *
 * Calls that KVM leaves to user space, with nothing changed, return H_TO_USER
 * here. See libkvm_tce.h.
 */
#define _GNU_SOURCE
#include <sys/ioctl.h>

#include "kvm_tce.h"
#include "memkind.h"

/* ------------------------------------------------------------------ */
/* Table without a device */

#define START		MIB
#define ENTRIES		0x20000UL
#define END		(START + ENTRIES * IOMMU_PAGE)
#define IOBA(n)		(START + (n) * IOMMU_PAGE)
/* Guest memory behind the program */
#define TCE(n)		((MIB + (n) % 512 * IOMMU_PAGE) | TCE_RW)

FIXTURE(emulated)
{
	struct guest g;
	struct cpu *cpu;
};

FIXTURE_SETUP(emulated)
{
	struct guest_config config = {
		.size = 4 * MIB, .nr_cpus = 1, .shift = 12, .window = MIB,
	};

	guest_init(&self->g);
	ASSERT_EQ(0, __guest_open(&self->g, &config));
	self->cpu = &self->g.vm.cpu[0];
	guest_close_table(&self->g);
	self->g.table =
		__vm_table(&self->g.vm, LIOBN, 12, START / IOMMU_PAGE, ENTRIES);
	ASSERT_LE(0, self->g.table);
}

FIXTURE_TEARDOWN(emulated)
{
	guest_close(&self->g);
}

TEST_F(emulated, calls_are_counted)
{
	long calls, tces, left, real;
	/*
	 * calls that must stay in real mode, if real mode is available and on
	 */
	long by_real = vm_has_real_mode() && vm_real_mode() ? 3 : 0;

	/* the first one may allocate memory, in any mode */
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	calls = vm_count("tce_hcalls");
	tces = vm_count("tce_entries");
	left = vm_count("tce_user");
	real = vm_count("tce_realmode");
	ASSERT_LE(0, real);
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(1)));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, 100));
	EXPECT_EQ(H_PARAMETER, PUT(END, 0));
	EXPECT_EQ(H_TO_USER, h_put_tce(self->cpu, LIOBN + 1, START, 0));
	EXPECT_EQ(calls + 3, vm_count("tce_hcalls"));
	EXPECT_EQ(tces + 101, vm_count("tce_entries"));
	EXPECT_EQ(left + 1, vm_count("tce_user"));
	EXPECT_EQ(real + by_real, vm_count("tce_realmode"));
}

/* Real mode is not traced. */
#define NEEDS_SWITCH	"needs real mode off, which traces nothing: " \
			"CONFIG_KVM_BOOK3S_64_TCE_SWITCH, debugfs and root"

TEST_F(emulated, calls_are_traced)
{
	struct vm_switch sw = { .fd = -1 };

	if (vm_has_real_mode() && vm_real_mode_off(&sw))
		SKIP(return, NEEDS_SWITCH);
	EXPECT_EQ(0, spapr_trace_begin("kvm_vio"));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, 100));
	EXPECT_EQ(H_TO_USER, h_put_tce(self->cpu, LIOBN + 1, START, 0));
	spapr_trace_end("kvm_vio");
	vm_real_mode_restore(&sw);
	EXPECT_TRUE(spapr_trace_has("kvm_tce_hcall: H_PUT_TCE liobn="));
	EXPECT_TRUE(spapr_trace_has("npages=100 ret=0"));
}

TEST_F(emulated, values_that_are_put_are_got)
{
	EXPECT_GOT(0, IOBA(0));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(ENTRIES - 1), TCE(1)));
	EXPECT_GOT(TCE(0), IOBA(0));
	EXPECT_GOT(0, IOBA(1));
	EXPECT_GOT(TCE(1), IOBA(ENTRIES - 1));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), MIB | TCE_READ));
	EXPECT_GOT(MIB | TCE_READ, IOBA(0));
	/* any value without permissions */
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), NOWHERE));
	EXPECT_GOT(NOWHERE, IOBA(0));
}

TEST_F(emulated, an_unknown_table_is_for_user_space)
{
	unsigned long tce;

	EXPECT_EQ(H_TO_USER, h_put_tce(self->cpu, LIOBN + 1, START, 0));
	EXPECT_EQ(H_TO_USER, h_get_tce(self->cpu, LIOBN + 1, START, &tce));
	EXPECT_EQ(H_TO_USER, h_stuff_tce(self->cpu, LIOBN + 1, START, 0, 1));
	EXPECT_EQ(H_TO_USER, h_put_tce_indirect(self->cpu, LIOBN + 1, START,
						LIST, 1));
	/* LIOBNs have 32 bits in the guest, 64 bits here */
	EXPECT_EQ(H_TO_USER, h_put_tce(self->cpu, LIOBN | 1UL << 32, START, 0));
}

static const unsigned long outside[] = {
	0, START - IOMMU_PAGE, START + 1, START + IOMMU_PAGE - 1,
	END - 1, END, END + IOMMU_PAGE,
	1UL << 52, 1UL << 63, -IOMMU_PAGE, -1UL,
};

TEST_F(emulated, addresses_outside_are_refused)
{
	unsigned long tce;
	size_t i;

	set_list(&self->g, 0, TCE(0));
	for (i = 0; i < ARRAY_SIZE(outside); i++) {
		EXPECT_EQ(H_PARAMETER, PUT(outside[i], TCE(0)));
		EXPECT_EQ(H_PARAMETER, PUT(outside[i], 0));
		EXPECT_EQ(H_PARAMETER, PUT_LIST(outside[i], LIST, 1));
		EXPECT_EQ(H_PARAMETER, STUFF(outside[i], 0, 1));
		/* H_GET_TCE ignores the offset in a page */
		if (!(outside[i] % IOMMU_PAGE))
			EXPECT_EQ(H_PARAMETER, GET(outside[i], &tce));
	}
}

TEST_F(emulated, lists_have_up_to_512_entries)
{
	unsigned int i;

	for (i = 0; i < LIST_MAX; i++)
		set_list(&self->g, i, TCE(i));
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST, 0));
	EXPECT_GOT(0, IOBA(0));
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(7), LIST, 1));
	EXPECT_GOT(TCE(0), IOBA(7));
	EXPECT_GOT(0, IOBA(8));
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(500), LIST, LIST_MAX));
	for (i = 0; i < LIST_MAX; i += 73)
		EXPECT_GOT(TCE(i), IOBA(500 + i));
	EXPECT_GOT(TCE(511), IOBA(1011));
	EXPECT_GOT(0, IOBA(1012));
	EXPECT_EQ(H_PARAMETER, PUT_LIST(IOBA(0), LIST, LIST_MAX + 1));
	EXPECT_EQ(H_PARAMETER, PUT_LIST(IOBA(0), LIST, -1UL));
	EXPECT_EQ(H_PARAMETER, PUT_LIST(IOBA(0), LIST, 1UL << 32));
	EXPECT_GOT(0, IOBA(0));
}

TEST_F(emulated, a_list_is_a_page_of_4k)
{
	EXPECT_EQ(H_PARAMETER, PUT_LIST(IOBA(0), LIST + 8, 1));
	EXPECT_EQ(H_PARAMETER, PUT_LIST(IOBA(0), LIST + 2048, 1));
	set_list(&self->g, 512, TCE(3));
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), LIST + 4096, 1));
	EXPECT_GOT(TCE(3), IOBA(0));
	/* the list cannot be read */
	EXPECT_EQ(H_TO_USER, PUT_LIST(IOBA(0), NOWHERE, 1));
	EXPECT_EQ(H_TO_USER, PUT_LIST(IOBA(0), 4 * MIB, 1));
	EXPECT_EQ(H_TO_USER, PUT_LIST(IOBA(0), 1UL << 60, 1));
	EXPECT_GOT(TCE(3), IOBA(0));
}

TEST_F(emulated, a_list_ends_inside_or_changes_nothing)
{
	set_list(&self->g, 0, TCE(0));
	set_list(&self->g, 1, TCE(1));
	EXPECT_EQ(H_PARAMETER, PUT_LIST(IOBA(ENTRIES - 1), LIST, 2));
	EXPECT_GOT(0, IOBA(ENTRIES - 1));
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(ENTRIES - 2), LIST, 2));
	EXPECT_GOT(TCE(1), IOBA(ENTRIES - 1));
	/* one entry of a page that does not exist */
	set_list(&self->g, 0, TCE(2));
	set_list(&self->g, 1, NOWHERE | TCE_RW);
	EXPECT_EQ(H_TO_USER, PUT_LIST(IOBA(ENTRIES - 2), LIST, 2));
	EXPECT_GOT(TCE(0), IOBA(ENTRIES - 2));
	EXPECT_GOT(TCE(1), IOBA(ENTRIES - 1));
}

/* The page of the list is in the slot, but not populated in the process. */
TEST_F(emulated, a_list_may_have_to_be_read_from_elsewhere)
{
	struct guest *g = &self->g;
	size_t size = 16 * MIB, page = spapr_page_size();
	char *disk = mem_map(MEM_DISK_SHARED, NULL, size);

	if (!disk)
		SKIP(return, "%s", mem_why());
	*(__u64 *)disk = htobe64(TCE(4));
	ASSERT_EQ(0, __vm_slot(&g->vm, 1, OTHER, disk, size));
	ASSERT_EQ(0, msync(disk, page, MS_SYNC));
	madvise(disk, page, MADV_DONTNEED);
	EXPECT_EQ(H_SUCCESS, PUT_LIST(IOBA(0), OTHER, 1));
	EXPECT_GOT(TCE(4), IOBA(0));
	/* a list that cannot be read at all */
	ASSERT_EQ(0, mprotect(disk, page, PROT_NONE));
	EXPECT_EQ(H_TO_USER, PUT_LIST(IOBA(0), OTHER, 1));
}

TEST_F(emulated, stuff_fills_any_number_of_entries)
{
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1)));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, 0));
	EXPECT_GOT(TCE(0), IOBA(0));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, 1));
	EXPECT_GOT(0, IOBA(0));
	EXPECT_GOT(TCE(1), IOBA(1));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(1), 0x5000, 512));
	EXPECT_GOT(0x5000, IOBA(1));
	EXPECT_GOT(0x5000, IOBA(512));
	EXPECT_GOT(0, IOBA(513));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(5), 0x6000, 100000));
	EXPECT_GOT(0x5000, IOBA(4));
	EXPECT_GOT(0x6000, IOBA(5));
	EXPECT_GOT(0x6000, IOBA(100004));
	EXPECT_GOT(0, IOBA(100005));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(0), 0, ENTRIES));
	EXPECT_GOT(0, IOBA(100004));
}

TEST_F(emulated, stuff_stays_inside)
{
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1)));
	EXPECT_EQ(H_PARAMETER, STUFF(IOBA(1), 0, ENTRIES));
	EXPECT_EQ(H_PARAMETER, STUFF(IOBA(0), 0, ENTRIES + 1));
	EXPECT_EQ(H_PARAMETER, STUFF(IOBA(0), 0, -1UL));
	EXPECT_EQ(H_PARAMETER, STUFF(IOBA(1), 0, -1UL));
	EXPECT_EQ(H_PARAMETER, STUFF(IOBA(0), 0, 1UL << 52));
	EXPECT_GOT(TCE(1), IOBA(1));
}

/* Some guests map a range to one page this way: it is left to user space. */
TEST_F(emulated, stuff_with_permissions_is_for_user_space)
{
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(1), TCE(1)));
	EXPECT_EQ(H_TO_USER, STUFF(IOBA(0), TCE(0), 0));
	EXPECT_EQ(H_TO_USER, STUFF(IOBA(0), TCE(0), 1));
	EXPECT_EQ(H_TO_USER, STUFF(IOBA(0), TCE_READ, 1));
	EXPECT_EQ(H_TO_USER, STUFF(IOBA(0), TCE_WRITE, 512));
	EXPECT_EQ(H_TO_USER, STUFF(IOBA(0), TCE(0), ENTRIES));
	/* outside of the table it is an error for any value */
	EXPECT_EQ(H_PARAMETER, STUFF(IOBA(1), TCE(0), ENTRIES));
	EXPECT_GOT(0, IOBA(0));
	EXPECT_GOT(TCE(1), IOBA(1));
}

TEST_F(emulated, memory_that_is_none_is_for_user_space)
{
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), NOWHERE | TCE_RW));
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), NOWHERE | TCE_READ));
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), 4 * MIB | TCE_RW));
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), (-IOMMU_PAGE) | TCE_RW));
	EXPECT_GOT(TCE(0), IOBA(0));
}

TEST_F(emulated, a_number_without_a_table_is_free_again)
{
	struct vm *vm = &self->g.vm;

	EXPECT_ERRNO(EBUSY, __vm_table(vm, LIOBN, 12, 0, 1));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	guest_close_table(&self->g);
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), TCE(0)));
	self->g.table = __vm_table(vm, LIOBN, 12, START / IOMMU_PAGE, 1);
	ASSERT_LE(0, self->g.table);
	EXPECT_GOT(0, IOBA(0));
	EXPECT_EQ(H_PARAMETER, PUT(IOBA(1), TCE(0)));
}

TEST_F(emulated, disabled_calls_go_to_user_space)
{
	struct tce_hcall get = {
		.nr = H_GET_TCE, .arg = { LIOBN, IOBA(0) }, .count = 1,
	};
	struct vm *vm = &self->g.vm;

	set_list(&self->g, 0, TCE(0));
	ASSERT_EQ(0, __vm_enable_hcall(vm, H_PUT_TCE_INDIRECT, false));
	EXPECT_EQ(H_TO_USER, PUT_LIST(IOBA(0), LIST, 1));
	ASSERT_EQ(0, __vm_enable_hcall(vm, H_STUFF_TCE, false));
	EXPECT_EQ(H_TO_USER, STUFF(IOBA(0), 0, 1));
	ASSERT_EQ(0, __vm_enable_hcall(vm, H_PUT_TCE, false));
	EXPECT_EQ(H_TO_USER, PUT(IOBA(0), TCE(0)));
	EXPECT_GOT(0, IOBA(0));
	ASSERT_EQ(0, __vm_enable_hcall(vm, H_GET_TCE, false));
	EXPECT_EQ(H_TO_USER, vm_hcall(self->cpu, &get));
}

TEST_F(emulated, two_tables_do_not_mix)
{
	unsigned long tce = 0;
	int other = __vm_table(&self->g.vm, LIOBN + 1, 16, 0, 4096);

	ASSERT_LE(0, other);
	EXPECT_EQ(H_SUCCESS, PUT(START, TCE(0)));
	EXPECT_EQ(H_SUCCESS, h_put_tce(self->cpu, LIOBN + 1, START,
				       0x30000 | TCE_RW));
	EXPECT_GOT(TCE(0), START);
	EXPECT_EQ(H_SUCCESS, h_get_tce(self->cpu, LIOBN + 1, START, &tce));
	EXPECT_EQ(0x30000 | TCE_RW, tce);
	/* 64K pages */
	EXPECT_EQ(H_PARAMETER, h_put_tce(self->cpu, LIOBN + 1, IOMMU_PAGE, 0));
	EXPECT_EQ(H_TO_USER, h_put_tce(self->cpu, LIOBN + 1, START,
				       0x31000 | TCE_RW));
	close(other);
}

/* ------------------------------------------------------------------ */
/* Creating tables, and mapping them in user space */

/* Use count of the module; -1: KVM is built in. */
static long module_users(void)
{
	return spapr_read_number("/sys/module/kvm/refcnt");
}

/* A table may be closed last, after the VM itself. */
TEST_F(emulated, an_open_table_keeps_the_module)
{
	long users = module_users();
	int table;

	if (users < 0)
		SKIP(return, "needs KVM as a module");
	table = __vm_table(&self->g.vm, LIOBN + 1, 12, 0, 1);
	ASSERT_LE(0, table);
	EXPECT_EQ(users + 1, module_users());
	close(table);
	EXPECT_EQ(users, module_users());
}

TEST_F(emulated, tables_that_cannot_be)
{
	struct vm *vm = &self->g.vm;
	struct kvm_create_spapr_tce_64 create = {
		.liobn = LIOBN + 1, .page_shift = 12, .size = 1,
	};

	EXPECT_ERRNO(EINVAL, __vm_table(vm, LIOBN + 1, 12, 0, 0));
	EXPECT_ERRNO(EINVAL, __vm_table(vm, LIOBN + 1, 0, 0, 1));
	EXPECT_ERRNO(EINVAL, __vm_table(vm, LIOBN + 1, 11, 0, 1));
	EXPECT_ERRNO(EINVAL, __vm_table(vm, LIOBN + 1, 35, 0, 1));
	EXPECT_ERRNO(EINVAL, __vm_table(vm, LIOBN + 1, 64, 0, 1));
	EXPECT_ERRNO(EINVAL, __vm_table(vm, LIOBN + 1, 12, 0, 1ULL << 52));
	EXPECT_ERRNO(EINVAL, __vm_table(vm, LIOBN + 1, 12, 1ULL << 52, 1));
	create.flags = 1;
	EXPECT_ERRNO(EINVAL, __spapr_ioctl(vm->fd, KVM_CREATE_SPAPR_TCE_64,
					   &create));
	EXPECT_ERRNO(EFAULT, __spapr_ioctl(vm->fd, KVM_CREATE_SPAPR_TCE_64,
					   (void *)8));
}

TEST_F(emulated, tables_of_every_page_size)
{
	struct vm *vm = &self->g.vm;
	unsigned int shift;
	int table;

	for (shift = 12; shift <= 34; shift++) {
		table = __vm_table(vm, LIOBN + 1, shift, 1, 1);
		EXPECT_LE(0, table);
		EXPECT_EQ(H_SUCCESS, h_put_tce(self->cpu, LIOBN + 1,
					       1UL << shift, 0));
		EXPECT_EQ(H_PARAMETER, h_put_tce(self->cpu, LIOBN + 1,
						 2UL << shift, 0));
		close(table);
	}
	/* up to the end of the address space */
	table = __vm_table(vm, LIOBN + 1, 16, (1ULL << 48) - 2, 1);
	EXPECT_LE(0, table);
	EXPECT_EQ(H_SUCCESS, h_put_tce(self->cpu, LIOBN + 1,
				       0xfffffffffffe0000, 0));
	close(table);
}

/* Offset and size must not wrap: a table without pages, or of any size. */
TEST_F(emulated, a_table_does_not_wrap)
{
	struct vm *vm = &self->g.vm;

	EXPECT_ERRNO(EINVAL, __vm_table(vm, LIOBN + 1, 12, 1, -1ULL));
	EXPECT_ERRNO(EINVAL, __vm_table(vm, LIOBN + 2, 12, 2, -1ULL));
	EXPECT_ERRNO(EINVAL, __vm_table(vm, LIOBN + 3, 12, -1ULL, 2));
	EXPECT_ERRNO(EINVAL, __vm_table(vm, LIOBN + 4, 12, -1ULL, 1));
}

/* The first and the last entry exist, their neighbours outside do not. */
static void check_table_ends(struct __test_metadata *_metadata,
			     struct _test_data_emulated *self,
			     unsigned int shift, __u64 offset, __u64 size)
{
	__u64 first = offset << shift, last = (offset + size - 1) << shift;
	__u64 end = last + (1ULL << shift), list = MIB;
	struct cpu *cpu = self->cpu;

	EXPECT_EQ(H_SUCCESS, h_put_tce(cpu, LIOBN + 1, first, 0));
	EXPECT_EQ(H_SUCCESS, h_put_tce(cpu, LIOBN + 1, last, 0));
	EXPECT_EQ(H_SUCCESS, h_stuff_tce(cpu, LIOBN + 1, last, 0, 1));
	EXPECT_EQ(H_PARAMETER, h_stuff_tce(cpu, LIOBN + 1, last, 0, 2));
	EXPECT_EQ(H_PARAMETER, h_stuff_tce(cpu, LIOBN + 1, first, 0, size + 1));
	EXPECT_EQ(H_PARAMETER, h_stuff_tce(cpu, LIOBN + 1, last, 0, -1UL));
	EXPECT_EQ(H_PARAMETER, h_put_tce_indirect(cpu, LIOBN + 1, last, list,
						  2));
	if (end)
		EXPECT_EQ(H_PARAMETER, h_put_tce(cpu, LIOBN + 1, end, 0));
	if (offset)
		EXPECT_EQ(H_PARAMETER, h_put_tce(cpu, LIOBN + 1,
						 first - (1ULL << shift), 0));
	EXPECT_EQ(H_PARAMETER, h_put_tce(cpu, LIOBN + 1, -1UL << shift, 0));
}

#define MARKS	16

/* Offsets and sizes in pages, at and around the limits. */
static void init_marks(__u64 *at, unsigned int shift)
{
	__u64 end = ~0ULL >> shift;
	const __u64 marks[MARKS] = {
		0, 1, 2, 3, end - 2, end - 1, end, end + 1, end + 2,
		1ULL << (47 - shift), 1ULL << (48 - shift), 1ULL << 51,
		1ULL << 52, 1ULL << 63, -2ULL, -1ULL,
	};

	memcpy(at, marks, sizeof(marks));
}

static void check_table(struct __test_metadata *_metadata,
			struct _test_data_emulated *self, unsigned int shift,
			__u64 offset, __u64 size)
{
	int table = __vm_table(&self->g.vm, LIOBN + 1, shift, offset, size);
	__u64 end = ~0ULL >> shift;
	bool good = size && offset <= end && size <= end - offset;
	/* the table may be too large for the kernel to allocate */
	bool right = good ? table >= 0 || (size > 3 && table == -ENOMEM) :
			    table == -EINVAL;

	EXPECT_TRUE(right) {
		TH_LOG("%d: 2^%u, 0x%llx, 0x%llx", table, shift,
		       (unsigned long long)offset, (unsigned long long)size);
	}
	/* do not use a table that should not exist */
	if (table >= 0 && good)
		check_table_ends(_metadata, self, shift, offset, size);
	if (table >= 0)
		close(table);
}

TEST_F_TIMEOUT(emulated, tables_end_where_they_should, 120)
{
	static const unsigned char shifts[] = { 12, 16, 34 };
	unsigned int i, k, m;
	__u64 at[MARKS];

	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		init_marks(at, shifts[i]);
		for (k = 0; k < MARKS; k++)
			for (m = 0; m < MARKS; m++)
				check_table(_metadata, self, shifts[i], at[k],
					    at[m]);
	}
}

TEST_F(emulated, the_older_call_makes_tables_too)
{
	struct kvm_create_spapr_tce create = {
		.liobn = LIOBN + 1, .window_size = 16 * MIB,
	};
	int table = __spapr_ioctl(self->g.vm.fd, KVM_CREATE_SPAPR_TCE, &create);

	ASSERT_LE(0, table);
	EXPECT_EQ(H_SUCCESS, h_put_tce(self->cpu, LIOBN + 1,
				       16 * MIB - IOMMU_PAGE, TCE(0)));
	EXPECT_EQ(H_PARAMETER, h_put_tce(self->cpu, LIOBN + 1, 16 * MIB, 0));
	close(table);
}

TEST_F(emulated, user_space_sees_the_entries)
{
	size_t size = ENTRIES * sizeof(long);
	unsigned long *view = map_view(self->g.table, size);

	ASSERT_NE(NULL, view);
	EXPECT_EQ(0UL, view[0]);
	EXPECT_EQ(0UL, view[ENTRIES - 1]);
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(0), TCE(0)));
	EXPECT_EQ(H_SUCCESS, PUT(IOBA(ENTRIES - 1), TCE(1)));
	EXPECT_EQ(H_SUCCESS, STUFF(IOBA(9000), 0x7000, 100));
	EXPECT_EQ(TCE(0), view[0]);
	EXPECT_EQ(TCE(1), view[ENTRIES - 1]);
	EXPECT_EQ(0UL, view[8999]);
	EXPECT_EQ(0x7000UL, view[9099]);
	/* the guest reads what user space writes */
	view[1] = 0x1234567;
	EXPECT_GOT(0x1234567, IOBA(1));
	/* the mapping outlasts the table */
	guest_close_table(&self->g);
	EXPECT_EQ(TCE(0), view[0]);
	munmap(view, size);
}

TEST_F_SIGNAL(emulated, the_view_ends_with_the_table, SIGBUS)
{
	size_t size = ENTRIES * sizeof(long), page = spapr_page_size();
	unsigned long *view = map_view(self->g.table, size + page);

	ASSERT_NE(NULL, view);
	__atomic_store_n(&view[(size + page) / sizeof(long) - 1], 0,
			 __ATOMIC_SEQ_CST);
}

TEST_HARNESS_MAIN
