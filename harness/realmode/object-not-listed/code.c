// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

int other(int a);

int entry(int a)
{
	return other(a) + 1;
}
