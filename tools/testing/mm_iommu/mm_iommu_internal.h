/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Replaces arch/powerpc/mm/mm_iommu_internal.h, which has the same include
 * guard: a file that includes this header first builds the registry for user
 * space.
 *
 * Functions that tools/include provides are used from there. The others are
 * sorted by their distance from the kernel: shim/dup.h has the same semantics,
 * shim/stubs.h does nothing, and shim/custom.h observes the code under test, or
 * fails on request.
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
