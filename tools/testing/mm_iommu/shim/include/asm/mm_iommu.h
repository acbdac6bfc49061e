/* SPDX-License-Identifier: GPL-2.0 */
/* See mm_iommu_internal.h, which has it. */
