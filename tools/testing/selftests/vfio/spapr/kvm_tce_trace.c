// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions that a POWER8 host reaches in real mode for a TCE hypercall
 * must neither be traced nor probed: a trap there crashes the machine, and so
 * does a program that the tracer calls. The test does not need a machine with
 * real mode; the functions are part of every kernel that may run on one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "spapr_test.h"

#define TRACE		"/sys/kernel/tracing"
#define BLACKLIST	"/sys/kernel/debug/kprobes/blacklist"

/* Entry points, and functions that they call in other files. */
static const char * const functions[] = {
	"kvmppc_rm_h_get_tce",
	"kvmppc_rm_h_put_tce",
	"kvmppc_rm_h_put_tce_indirect",
	"kvmppc_rm_h_stuff_tce",
	"kvmppc_tce_find_slot",
	"kvmppc_tce_get",
	"kvmppc_tce_shadow_fill",
	"kvmppc_tce_shadow_write",
	"iommu_tce_fast_put",
	"iommu_tce_fast_clear",
	"iommu_tce_change_begin",
	"iommu_tce_change_map",
	"iommu_tce_change_clear",
	"iommu_tce_change_commit",
	"iommu_tce_change_abort",
	"mm_iommu_section_enter",
	"mm_iommu_section_exit",
	"mm_iommu_section_hold_one",
	"mm_iommu_section_find",
	"mm_iommu_section_get",
	"mm_iommu_section_drop",
	"__mm_iommu_index_find",
	"mm_iommu_trans_fill",
	"pnv_tce_set",
	"pnv_tce_clear",
	"pnv_pci_ioda2_realmode",
	"pnv_pci_ioda2_tce_kill",
	"__find_linux_pte",
};

/* Reads all of a file of the kernel; NULL on error. */
static char *read_all(const char *path)
{
	size_t size = 1 << 20, len = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	ssize_t n = 0;

	if (fd < 0)
		return NULL;
	do {
		len += n;
		if (!text || len == size) {
			size *= 2;
			text = realloc(text, size + 1);
		}
		n = text ? read(fd, text + len, size - len) : -1;
	} while (n > 0);
	close(fd);
	if (text)
		text[len] = '\0';
	return text;
}

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);
	const char *at = text;

	while ((at = strstr(at, word))) {
		if ((at == text || strchr(" \t\n", at[-1])) &&
		    (!at[len] || strchr(" \t\n", at[len])))
			return true;
		at += len;
	}
	return false;
}

FIXTURE(real_mode)
{
	char *symbols;
};

FIXTURE_SETUP(real_mode)
{
	self->symbols = read_all("/proc/kallsyms");
	ASSERT_NE(NULL, self->symbols);
	if (!has_word(self->symbols, functions[0]))
		SKIP(return, "needs a kernel that serves TCE hypercalls in real mode");
}

FIXTURE_TEARDOWN(real_mode)
{
	free(self->symbols);
}

TEST_F(real_mode, is_not_traced)
{
	char *traced = read_all(TRACE "/available_filter_functions");
	unsigned int i;

	if (!traced)
		SKIP(return, "needs root and CONFIG_DYNAMIC_FTRACE");
	/* sanity check: this function is listed */
	EXPECT_TRUE(has_word(traced, "iommu_tce_map"));
	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		EXPECT_TRUE(has_word(self->symbols, functions[i])) {
			TH_LOG("no function %s", functions[i]);
		}
		EXPECT_FALSE(has_word(traced, functions[i])) {
			TH_LOG("%s", functions[i]);
		}
	}
	free(traced);
}

/* 0 or -errno */
static int add_probe(const char *function)
{
	int fd = open(TRACE "/kprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
	int ret = 0;
	char text[128];
	int len;

	if (fd < 0)
		return -errno;
	len = snprintf(text, sizeof(text), "p:real_mode %s\n", function);
	if (write(fd, text, len) != len)
		ret = -errno;
	close(fd);
	return ret;
}

TEST_F(real_mode, is_not_probed)
{
	char *refused = read_all(BLACKLIST);
	unsigned int i;

	if (!refused || access(TRACE "/kprobe_events", W_OK))
		SKIP(return, "needs root, debugfs and CONFIG_KPROBE_EVENTS");
	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		EXPECT_TRUE(has_word(refused, functions[i])) {
			TH_LOG("%s", functions[i]);
		}
		EXPECT_ERRNO(EINVAL, add_probe(functions[i]));
	}
	EXPECT_TRUE(has_word(refused, "memcpy") ||
		    has_word(refused, "__memcpy"));
	free(refused);
}

TEST_HARNESS_MAIN
