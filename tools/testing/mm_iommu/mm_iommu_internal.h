/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stands in for arch/powerpc/mm/mm_iommu_internal.h, which has the same guard:
 * whoever includes this one first builds the registry for user space.
 *
 * What tools/include has is taken from there. The rest is sorted by how far it
 * is from the kernel: shim/dup.h says the same, shim/stubs.h says nothing, and
 * shim/custom.h watches the code under test, or is told to fail.
 */
#ifndef _POWERPC_MM_IOMMU_INTERNAL_H
#define _POWERPC_MM_IOMMU_INTERNAL_H

#include <errno.h>
#include <limits.h>

#include <linux/types.h>
#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/rbtree.h>
#include <linux/sizes.h>

#include "shim/stubs.h"
#include "shim/custom.h"
#include "shim/dup.h"

#define CONFIG_SPAPR_TCE_IOMMU	1
#include "../../../arch/powerpc/include/asm/mm_iommu.h"

#endif /* _POWERPC_MM_IOMMU_INTERNAL_H */
