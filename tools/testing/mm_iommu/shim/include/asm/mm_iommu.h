/* SPDX-License-Identifier: GPL-2.0 */
/* Defined by mm_iommu_internal.h. */
