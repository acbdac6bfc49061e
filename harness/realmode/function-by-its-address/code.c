// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

/* The receiver of the pointer will call it. */
static noinline int called_later(int a)
{
	_printk("%d\n", a);
	return a + 1;
}

int entry(int (**fn)(int))
{
	*fn = called_later;
	return 0;
}
