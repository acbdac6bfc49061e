/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls of the sPAPR TCE container, one function each.
 *
 * A name that starts with two underscores gives back what the ioctl answered:
 * its result, which may be positive, or the negative errno. spapr_test.h has
 * the forms that assert. Nothing here knows the test harness, so that
 * spapr_demo can use it as well.
 */
#ifndef SELFTESTS_VFIO_LIBSPAPR_H
#define SELFTESTS_VFIO_LIBSPAPR_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/vfio.h>

#define SPAPR_MAX_GROUPS	4
#define SPAPR_BDF_LEN		16
#define SPAPR_RW \
	(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

/* One line that tells a person how to give these tests a device. */
#define SPAPR_HOW_TO_BIND \
	"for an edu device (1234:11e8): echo vfio-pci > " \
	"/sys/bus/pci/devices/BDF/driver_override; " \
	"echo BDF > /sys/bus/pci/drivers_probe; " \
	"VFIO_BDF='BDF [BDF...]' chooses among several"

/* A container and the groups opened for it; -1 stands for "not open". */
struct spapr {
	int fd;
	int type;
	unsigned int nr_groups;
	int group[SPAPR_MAX_GROUPS];
};

/* What the kernel counts for a process, and for the whole machine. */
struct spapr_account {
	long locked;	/* bytes: VmLck of this process */
	long pins;	/* pages pinned for DMA by anyone */
};

/* environment */
bool spapr_on_stock(void);
size_t spapr_page_size(void);
unsigned int spapr_page_shift(void);

/* devices: the n-th one of those that have a group of their own */
unsigned int spapr_nr_devices(void);
const char *spapr_bdf(unsigned int n);

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
 * The hypercalls that read or write TCEs, counted by the kernel's own trace.
 * spapr_hcalls_begin() gives -ENOENT where there is no such trace.
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
 * Function tracer: 0 or -errno. @glob names functions, which are traced in this
 * thread until the call is repeated with NULL, which forgets what was traced.
 */
int spapr_trace_functions(const char *glob);

/* memory */
void *spapr_mem(size_t size);
void *spapr_reserve(size_t size);

#endif
