// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

int entry(int a)
{
	_printk("%d\n", a);
	return a + 1;
}
