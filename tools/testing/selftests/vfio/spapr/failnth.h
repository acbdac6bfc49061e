/* SPDX-License-Identifier: GPL-2.0-only */
/* Injects a failure into the n-th allocation of the calling thread. */
#ifndef SELFTESTS_VFIO_FAILNTH_H
#define SELFTESTS_VFIO_FAILNTH_H

#include <stdbool.h>

#define FAILNTH_LIMIT	2000	/* more allocations than any call makes */

#define NEEDS_INJECTION							\
	"needs CONFIG_FAULT_INJECTION_DEBUG_FS, CONFIG_FAILSLAB and "	\
	"CONFIG_FAIL_PAGE_ALLOC: make test K=series-faults"

#define NEED_INJECTION(statement) do {					\
	if (!failnth_begin())						\
		SKIP(statement, NEEDS_INJECTION);			\
} while (0)

/*
 * Under a hypervisor a window is a property in the device tree. A failure to
 * show it in sysfs is a warning, but not of the tested code.
 */
#define NEEDS_FILTER							\
	"needs CONFIG_FAULT_INJECTION_STACKTRACE_FILTER: "		\
	"make test K=series-faults"

#define SPARE_DEVICE_TREE(statement) do {				\
	if (!failnth_spare("__of_add_property_sysfs"))			\
		SKIP(statement, NEEDS_FILTER);				\
} while (0)

bool failnth_begin(void);
/* Excludes allocations in this function and its callees. */
bool failnth_spare(const char *function);

bool failnth_arm(unsigned int nth);
/* Whether the failure was injected. */
bool failnth_disarm(void);

#endif
