// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

/* In the other object this name means something else. */
static noinline int same_name(int a)
{
	return a * 5;
}

int other(int a)
{
	return same_name(a) + 1;
}
