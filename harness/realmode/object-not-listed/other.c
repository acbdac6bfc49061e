// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

int other(int a)
{
	return a + 2;
}
