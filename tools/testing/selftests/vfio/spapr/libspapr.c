// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of the sPAPR TCE container, devices to test them with, and accounting
 * in the kernel.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/membarrier.h>

#include "libspapr.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"
#define SETTLE_MS	2000

static struct {
	bool scanned;
	unsigned int nr;
	struct {
		char bdf[SPAPR_BDF_LEN];
		int group;
	} dev[SPAPR_MAX_GROUPS];
} found;

/* ------------------------------------------------------------------ */
/* Environment */

static bool env_is_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value && strcmp(value, "0");
}

bool spapr_on_stock(void)
{
	return env_is_set("VFIO_TEST_STOCK");
}

bool spapr_has_fixes(void)
{
	const char *value = getenv("VFIO_TEST_STOCK");

	return !spapr_on_stock() || !strcmp(value, "fixes");
}

size_t spapr_page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

unsigned int spapr_page_shift(void)
{
	return __builtin_ctzl(spapr_page_size());
}

/* The number in a file of sysfs or debugfs, or -1. */
long spapr_read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long n = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

int spapr_write(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		ret = -errno;
	close(fd);
	return ret;
}

/* ------------------------------------------------------------------ */
/* Devices */

static int group_of(const char *bdf)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu_group", bdf);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -1;
	link[len] = '\0';
	return atoi(strrchr(link, '/') + 1);
}

static bool sysfs_says(const char *bdf, const char *file, const char *value)
{
	char path[PATH_MAX], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, file);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return !strncmp(text, value, strlen(value));
}

bool spapr_is_edu(const char *bdf)
{
	return sysfs_says(bdf, "vendor", "0x1234") &&
	       sysfs_says(bdf, "device", "0x11e8");
}

int spapr_write_attr(const char *bdf, const char *attr, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, attr);
	return spapr_write(path, text);
}

static bool bound_to_vfio(const char *bdf)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver", bdf);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return false;
	link[len] = '\0';
	return !strcmp(strrchr(link, '/') + 1, "vfio-pci");
}

/* A container works on groups: keep one device of each. */
static void take_device(const char *bdf)
{
	int group = group_of(bdf);
	unsigned int i;

	if (group < 0 || found.nr == SPAPR_MAX_GROUPS)
		return;
	for (i = 0; i < found.nr; i++)
		if (found.dev[i].group == group)
			return;
	snprintf(found.dev[found.nr].bdf, SPAPR_BDF_LEN, "%s", bdf);
	found.dev[found.nr].group = group;
	found.nr++;
}

static int scan_one(const struct dirent *d)
{
	const char *bdf = d->d_name;

	return bdf[0] != '.' && spapr_is_edu(bdf) && bound_to_vfio(bdf);
}

static void scan_sysfs(void)
{
	struct dirent **list;
	int n = scandir(PCI_DEVICES, &list, scan_one, alphasort);
	int i;

	for (i = 0; i < n; i++) {
		take_device(list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

static void scan(void)
{
	char *names, *name, *rest;

	if (found.scanned)
		return;
	found.scanned = true;
	if (!env_is_set("VFIO_BDF")) {
		scan_sysfs();
		return;
	}
	names = strdup(getenv("VFIO_BDF"));
	for (name = strtok_r(names, " ,", &rest); name;
	     name = strtok_r(NULL, " ,", &rest))
		take_device(name);
	free(names);
}

unsigned int spapr_nr_devices(void)
{
	scan();
	return found.nr;
}

const char *spapr_bdf(unsigned int n)
{
	scan();
	return n < found.nr ? found.dev[n].bdf : "none";
}

/* ------------------------------------------------------------------ */
/* Containers and groups */

int spapr_container_fd(void)
{
	int fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int spapr_group_fd(unsigned int n)
{
	char path[32];
	int fd;

	scan();
	if (n >= found.nr)
		return -ENODEV;
	snprintf(path, sizeof(path), "/dev/vfio/%d", found.dev[n].group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int __spapr_attach(struct spapr *s, unsigned int n)
{
	int ret;

	s->group[n] = spapr_group_fd(n);
	if (s->group[n] < 0)
		return s->group[n];
	ret = __spapr_ioctl(s->group[n], VFIO_GROUP_SET_CONTAINER, &s->fd);
	if (ret) {
		close(s->group[n]);
		s->group[n] = -1;
	}
	return ret;
}

int __spapr_detach(struct spapr *s, unsigned int n)
{
	int ret = __spapr_ioctl(s->group[n], VFIO_GROUP_UNSET_CONTAINER, NULL);

	if (!ret) {
		close(s->group[n]);
		s->group[n] = -1;
	}
	return ret;
}

int __spapr_open(struct spapr *s, int type, unsigned int nr_groups)
{
	unsigned int i;
	int ret;

	*s = (struct spapr){ .type = type, .nr_groups = nr_groups };
	for (i = 0; i < SPAPR_MAX_GROUPS; i++)
		s->group[i] = -1;
	s->fd = spapr_container_fd();
	if (s->fd < 0)
		return s->fd;
	ret = nr_groups ? __spapr_attach(s, 0) : 0;
	if (!ret && nr_groups)
		ret = __spapr_ioctl(s->fd, VFIO_SET_IOMMU,
				    (void *)(unsigned long)type);
	for (i = 1; !ret && i < nr_groups; i++)
		ret = __spapr_attach(s, i);
	if (ret)
		spapr_close(s);
	return ret;
}

/* With the group of the n-th device only. */
int __spapr_open_with(struct spapr *s, int type, unsigned int n)
{
	int ret = __spapr_open(s, type, 0);

	if (ret)
		return ret;
	s->nr_groups = 1;
	ret = __spapr_attach(s, n);
	if (!ret)
		ret = __spapr_ioctl(s->fd, VFIO_SET_IOMMU,
				    (void *)(unsigned long)type);
	if (ret)
		spapr_close(s);
	return ret;
}

void spapr_close(struct spapr *s)
{
	unsigned int i;

	for (i = 0; i < SPAPR_MAX_GROUPS; i++) {
		if (s->group[i] >= 0)
			close(s->group[i]);
		s->group[i] = -1;
	}
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* ------------------------------------------------------------------ */
/* ioctls */

int __spapr_ioctl(int fd, unsigned long cmd, const void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

int __spapr_register(int fd, const void *va, __u64 size)
{
	struct vfio_iommu_spapr_register_memory reg = {
		.argsz = sizeof(reg),
		.vaddr = (unsigned long)va,
		.size = size,
	};

	return __spapr_ioctl(fd, VFIO_IOMMU_SPAPR_REGISTER_MEMORY, &reg);
}

int __spapr_unregister(int fd, const void *va, __u64 size)
{
	struct vfio_iommu_spapr_register_memory reg = {
		.argsz = sizeof(reg),
		.vaddr = (unsigned long)va,
		.size = size,
	};

	return __spapr_ioctl(fd, VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, &reg);
}

int __spapr_map(int fd, __u64 iova, const void *va, __u64 size,
		__u32 flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = (unsigned long)va,
		.iova = iova,
		.size = size,
	};

	return __spapr_ioctl(fd, VFIO_IOMMU_MAP_DMA, &map);
}

int __spapr_unmap(int fd, __u64 iova, __u64 size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = size,
	};

	return __spapr_ioctl(fd, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

int __spapr_info(int fd, struct vfio_iommu_spapr_tce_info *info)
{
	*info = (struct vfio_iommu_spapr_tce_info){ .argsz = sizeof(*info) };
	return __spapr_ioctl(fd, VFIO_IOMMU_SPAPR_TCE_GET_INFO, info);
}

int __spapr_create(int fd, __u32 page_shift, __u64 size, __u32 levels,
		   __u64 *start)
{
	struct vfio_iommu_spapr_tce_create create = {
		.argsz = sizeof(create),
		.page_shift = page_shift,
		.window_size = size,
		.levels = levels,
	};
	int ret = __spapr_ioctl(fd, VFIO_IOMMU_SPAPR_TCE_CREATE, &create);

	if (!ret)
		*start = create.start_addr;
	return ret;
}

/* As QEMU and DPDK do: one level first, one more after each failure. */
int __spapr_create_rising(int fd, __u32 page_shift, __u64 size,
			  __u32 max_levels, __u64 *start)
{
	__u32 levels = 1;
	int ret;

	do {
		ret = __spapr_create(fd, page_shift, size, levels, start);
	} while (ret && ++levels <= max_levels);
	return ret;
}

int __spapr_remove(int fd, __u64 start)
{
	struct vfio_iommu_spapr_tce_remove remove = {
		.argsz = sizeof(remove),
		.start_addr = start,
	};

	return __spapr_ioctl(fd, VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove);
}

int __spapr_enable(int fd)
{
	return __spapr_ioctl(fd, VFIO_IOMMU_ENABLE, NULL);
}

int __spapr_disable(int fd)
{
	return __spapr_ioctl(fd, VFIO_IOMMU_DISABLE, NULL);
}

int __spapr_eeh(int fd, __u32 op)
{
	struct vfio_eeh_pe_op eeh = { .argsz = sizeof(eeh), .op = op };

	return __spapr_ioctl(fd, VFIO_EEH_PE_OP, &eeh);
}

/* ------------------------------------------------------------------ */
/* Accounting */

/* Returns the number after @name at the start of a line of @path, or -1. */
static long read_count(const char *path, const char *name)
{
	size_t len = strlen(name);
	char line[128];
	long count = -1;
	FILE *f = fopen(path, "r");

	if (!f)
		return -1;
	while (count < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len))
			count = strtol(line + len, NULL, 10);
	fclose(f);
	return count;
}

long spapr_locked(void)
{
	return read_count("/proc/self/status", "VmLck:") * 1024;
}

/*
 * Counters are per CPU and folded periodically: stat_refresh folds them
 * immediately (root only; not needed with one CPU).
 */
static void fold_vmstat(void)
{
	FILE *f = fopen("/proc/sys/vm/stat_refresh", "r");

	/* The base kernel unpins after a grace period: wait for one. */
	if (spapr_on_stock())
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	if (!f)
		return;
	fgetc(f);
	fclose(f);
}

long spapr_vmstat(const char *name)
{
	return read_count("/proc/vmstat", name);
}

long spapr_pins_acquired(void)
{
	fold_vmstat();
	return spapr_vmstat("nr_foll_pin_acquired ");
}

long spapr_pins(void)
{
	fold_vmstat();
	return spapr_vmstat("nr_foll_pin_acquired ") -
	       spapr_vmstat("nr_foll_pin_released ");
}

void spapr_account(struct spapr_account *a)
{
	a->locked = spapr_locked();
	a->pins = spapr_pins();
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * Returns the remaining pins. Pages are unpinned when a call returns; only the
 * base kernel unpins later, so only there the test may wait.
 */
long spapr_pins_settle(long expected)
{
	long pins = spapr_pins(), end = now_ms() + SETTLE_MS;

	while (spapr_on_stock() && pins != expected && now_ms() < end)
		pins = spapr_pins();
	return pins;
}

#define TRACE		"/sys/kernel/tracing"
#define HCALL_EVENT	TRACE "/events/powerpc/hcall_entry"
#define TCE_HCALLS \
	"opcode == 0x1c || opcode == 0x20 || opcode == 0x138 || opcode == 0x13c"

static int trace_enable(const char *group, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), TRACE "/events/%s/enable", group);
	return spapr_write(path, value);
}

int spapr_trace_begin(const char *group)
{
	int ret = spapr_write(TRACE "/trace", "\n");

	return ret ? : trace_enable(group, "1");
}

/* Returns the number of lines since spapr_trace_begin(). */
long spapr_trace_count(const char *words)
{
	FILE *file = fopen(TRACE "/trace", "re");
	char line[512];
	long count = 0;

	while (file && fgets(line, sizeof(line), file))
		count += !!strstr(line, words);
	if (file)
		fclose(file);
	return count;
}

bool spapr_trace_has(const char *words)
{
	return spapr_trace_count(words);
}

/* Traces functions of this thread that match @glob; NULL: stops. */
int spapr_trace_functions(const char *glob)
{
	char tid[16];
	int ret;

	if (!glob) {
		spapr_write(TRACE "/current_tracer", "nop");
		spapr_write(TRACE "/set_ftrace_pid", "\n");
		return spapr_write(TRACE "/set_ftrace_filter", "\n");
	}
	snprintf(tid, sizeof(tid), "%ld", syscall(SYS_gettid));
	ret = spapr_write(TRACE "/set_ftrace_filter", glob);
	if (!ret)
		ret = spapr_write(TRACE "/set_ftrace_pid", tid);
	if (!ret)
		ret = spapr_write(TRACE "/current_tracer", "function");
	return ret;
}

void spapr_trace_end(const char *group)
{
	trace_enable(group, "0");
}

/* H_GET_TCE, H_PUT_TCE, H_STUFF_TCE and H_PUT_TCE_INDIRECT */
int spapr_hcalls_begin(void)
{
	int ret;

	/* the kernel supports both: is there a hypervisor? */
	if (access("/proc/device-tree/rtas/ibm,hypertas-functions", F_OK))
		return -ENOENT;
	ret = spapr_write(HCALL_EVENT "/filter", TCE_HCALLS);
	if (!ret)
		ret = spapr_write(TRACE "/trace", "\n");
	if (!ret)
		ret = spapr_write(HCALL_EVENT "/enable", "1");
	return ret;
}

/* Entries in the buffers, and overwritten ones. */
long spapr_hcalls(void)
{
	char path[64];
	long count = 0;
	int cpu;

	for (cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		snprintf(path, sizeof(path), TRACE "/per_cpu/cpu%d/stats", cpu);
		count += read_count(path, "entries:");
		count += read_count(path, "overrun:");
	}
	return count;
}

long spapr_hcalls_end(void)
{
	long count;

	spapr_write(HCALL_EVENT "/enable", "0");
	count = spapr_hcalls();
	spapr_write(TRACE "/trace", "\n");
	spapr_write(HCALL_EVENT "/filter", "0");
	return count;
}

/* Free memory of the machine in bytes. */
long spapr_mem_free(void)
{
	return read_count("/proc/meminfo", "MemFree:") * 1024;
}

/* ------------------------------------------------------------------ */
/* Memory */

static void *map_aligned(size_t size, int prot)
{
	size_t align = 65536, page = spapr_page_size();
	char *p, *start;

	size = (size + page - 1) & -page;
	p = mmap(NULL, size + align, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	start = (char *)(((unsigned long)p + align - 1) & -align);
	if (start > p)
		munmap(p, start - p);
	munmap(start + size, p + align - start);
	return start;
}

/* Anonymous memory, aligned to 64K for any page size. */
void *spapr_mem(size_t size)
{
	return map_aligned(size, PROT_READ | PROT_WRITE);
}

/* Reserves addresses without memory, which nothing else will use. */
void *spapr_reserve(size_t size)
{
	return map_aligned(size, PROT_NONE);
}
