// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

static noinline int helper(int a)
{
	return a + 1;
}

__kprobes int entry(int a)
{
	return helper(a) * 2;
}

int not_in_real_mode(int a)
{
	return a * 3;
}
