// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

static noinline int check(int a)
{
	if (a > 7)
		WARN();
	return a + 1;
}

int entry(int a)
{
	return check(a) * 2;
}
