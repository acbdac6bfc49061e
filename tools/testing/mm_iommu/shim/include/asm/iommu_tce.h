/* SPDX-License-Identifier: GPL-2.0 */
#define CONFIG_SPAPR_TCE_IOMMU	1
#include "../../../../../../arch/powerpc/include/asm/iommu_tce.h"
