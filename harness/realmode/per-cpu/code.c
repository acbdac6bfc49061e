// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

static DEFINE_PER_CPU(int, counter);

static noinline int count(int a)
{
	per_cpu_here(counter) += a;
	return per_cpu_here(counter);
}

int entry(int a)
{
	return count(a) + 1;
}
