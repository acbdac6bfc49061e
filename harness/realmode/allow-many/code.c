// SPDX-License-Identifier: GPL-2.0
#include "../kernel.h"

void use(int *a);

int entry(int *a)
{
	int i, b[8];

	for (i = 0; i < 8; i++)
		b[i] = a[i] * a[i + 1];
	use(b);
	use(a);
	return b[0] + b[7] + a[3];
}
