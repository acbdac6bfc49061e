// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

static noinline int second(int a)
{
	_printk("%d\n", a);
	return a + 1;
}

static noinline int first(int a)
{
	return second(a) + 2;
}

int entry(int a)
{
	return first(a) + 3;
}
