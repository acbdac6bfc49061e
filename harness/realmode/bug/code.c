// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

int entry(int a)
{
	BUG_ON(a > 7);
	return a + 1;
}
