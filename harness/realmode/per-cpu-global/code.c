// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

DEFINE_PER_CPU(int, counter);

int entry(int a)
{
	return a + per_cpu_here(counter);
}
