// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TCE hypercalls of a guest, as KVM serves them.
 */
#include <sys/mman.h>

#include "libkvm_tce.h"
#include "memkind.h"
#include "spapr_test.h"

#define MEM_SIZE	(32 * MIB)
#define MEM_ALIGN	(16 * MIB)
#define LIOBN		0x80000001UL
#define IP		4096UL

FIXTURE(emulated)
{
	struct vm vm;
	struct cpu *cpu;
	char *mem;
	int table;
};

FIXTURE_SETUP(emulated)
{
	const char *missing = vm_missing();

	if (missing)
		SKIP(return, "%s", missing);
	self->mem = mem_reserve(MEM_SIZE, MEM_ALIGN);
	ASSERT_NE(NULL, mem_map(MEM_ANON, self->mem, MEM_SIZE));
	ASSERT_EQ(0, __vm_open(&self->vm, self->mem, MEM_SIZE, 1));
	self->cpu = &self->vm.cpu[0];
	self->table = __vm_table(&self->vm, LIOBN, 12, 256, 131072);
	ASSERT_LE(0, self->table);
}

FIXTURE_TEARDOWN(emulated)
{
	vm_close(&self->vm);
}

TEST_F(emulated, what_is_put_is_got)
{
	unsigned long tce = 0;

	EXPECT_EQ(H_SUCCESS, h_put_tce(self->cpu, LIOBN, MIB, MIB | TCE_RW));
	EXPECT_EQ(H_SUCCESS, h_get_tce(self->cpu, LIOBN, MIB, &tce));
	EXPECT_EQ(MIB | TCE_RW, tce);
	EXPECT_EQ(H_TO_USER, h_put_tce(self->cpu, LIOBN + 1, MIB, 0));
}

TEST_HARNESS_MAIN
