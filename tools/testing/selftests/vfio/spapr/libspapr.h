/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls of the sPAPR TCE container, one function each.
 *
 * Functions whose names start with two underscores return the result of the
 * ioctl, which may be positive, or the negative errno. spapr_test.h has the
 * forms that assert. This file does not depend on the test harness, so that
 * spapr_demo can use it as well.
 */
#ifndef SELFTESTS_VFIO_LIBSPAPR_H
#define SELFTESTS_VFIO_LIBSPAPR_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/vfio.h>

/* Size of the smallest IOMMU page, which is also that of the default window. */
#define IOMMU_PAGE		4096UL

#define SPAPR_MAX_GROUPS	4
#define SPAPR_BDF_LEN		16
#define SPAPR_RW \
	(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

/* One line of instructions to bind a device for these tests. */
#define SPAPR_HOW_TO_BIND \
	"for an edu device (1234:11e8): echo vfio-pci > " \
	"/sys/bus/pci/devices/BDF/driver_override; " \
	"echo BDF > /sys/bus/pci/drivers_probe; " \
	"VFIO_BDF='BDF [BDF...]' chooses among several"

/* Container and its groups; -1 means "not open". */
struct spapr {
	int fd;
	int type;
	unsigned int nr_groups;
	int group[SPAPR_MAX_GROUPS];
};

/* Accounting of a process, and of the machine. */
struct spapr_account {
	long locked;	/* bytes: VmLck of this process */
	long pins;	/* pages pinned for DMA by any process */
};

/* environment */
bool spapr_on_stock(void);
/* The base kernel with the fixes of the series is a stock kernel too. */
bool spapr_has_fixes(void);
size_t spapr_page_size(void);
unsigned int spapr_page_shift(void);
long spapr_read_number(const char *path);
int spapr_write(const char *path, const char *text);

/* devices: the n-th of those with a group of their own */
unsigned int spapr_nr_devices(void);
const char *spapr_bdf(unsigned int n);
bool spapr_is_edu(const char *bdf);
int spapr_write_attr(const char *bdf, const char *attr, const char *text);

/* containers and groups */
int spapr_container_fd(void);
int spapr_group_fd(unsigned int n);
int __spapr_open(struct spapr *s, int type, unsigned int nr_groups);
int __spapr_open_with(struct spapr *s, int type, unsigned int n);
int __spapr_attach(struct spapr *s, unsigned int n);
int __spapr_detach(struct spapr *s, unsigned int n);
void spapr_close(struct spapr *s);

/* ioctls */
int __spapr_ioctl(int fd, unsigned long cmd, const void *arg);
int __spapr_register(int fd, const void *va, __u64 size);
int __spapr_unregister(int fd, const void *va, __u64 size);
int __spapr_map(int fd, __u64 iova, const void *va, __u64 size,
		__u32 flags);
int __spapr_unmap(int fd, __u64 iova, __u64 size);
int __spapr_info(int fd, struct vfio_iommu_spapr_tce_info *info);
int __spapr_create(int fd, __u32 page_shift, __u64 size, __u32 levels,
		   __u64 *start);
int __spapr_create_rising(int fd, __u32 page_shift, __u64 size,
			  __u32 max_levels, __u64 *start);
int __spapr_remove(int fd, __u64 start);
int __spapr_enable(int fd);
int __spapr_disable(int fd);
int __spapr_eeh(int fd, __u32 op);

/* accounting */
void spapr_account(struct spapr_account *a);
long spapr_locked(void);
long spapr_pins(void);
long spapr_pins_acquired(void);
long spapr_vmstat(const char *name);
long spapr_pins_settle(long expected);
long spapr_mem_free(void);

/*
 * Hypercalls that read or write TCEs, counted by the kernel's trace events.
 * spapr_hcalls_begin() returns -ENOENT if there are none.
 */
int spapr_hcalls_begin(void);
long spapr_hcalls(void);
long spapr_hcalls_end(void);

/* Trace events of a group: 0 or -errno; whether one of them has these words. */
int spapr_trace_begin(const char *group);
bool spapr_trace_has(const char *words);
long spapr_trace_count(const char *words);
void spapr_trace_end(const char *group);

/*
 * Function tracer: 0 or -errno. Functions that match @glob are traced in this
 * thread until the call is repeated with NULL, which clears the trace.
 */
int spapr_trace_functions(const char *glob);

/* memory */
void *spapr_mem(size_t size);
void *spapr_reserve(size_t size);

#endif
