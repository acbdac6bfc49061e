// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

static noinline int helper(int a)
{
	_printk("%d\n", a);
	return a + 1;
}

int other(int a)
{
	return helper(a) + 2;
}
