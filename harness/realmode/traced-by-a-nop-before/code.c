// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

/* The nops of a function may be where the one before it ends. */
notrace int entry(int a)
{
	return a + 1;
}

int traced(int a)
{
	return a * 3;
}
