/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every kernel header that the registry of DMA memory needs, in one place: a
 * build for user space replaces this file and nothing else.
 */
#ifndef _POWERPC_MM_IOMMU_INTERNAL_H
#define _POWERPC_MM_IOMMU_INTERNAL_H

#include <linux/bitfield.h>
#include <linux/cache.h>
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/pfn.h>
#include <linux/processor.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include <asm/mm_iommu.h>

#include <kunit/static_stub.h>

#endif /* _POWERPC_MM_IOMMU_INTERNAL_H */
