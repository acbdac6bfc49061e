// SPDX-License-Identifier: GPL-2.0-only
/*
 * Diagnoses whether PCI devices of this host can be passed to a guest, with a
 * remedy for each problem; computes the locked memory of the guest; and
 * explains the refusals in fdinfo of a container.
 *
 * Containers are closed again, no memory is registered and no window is
 * created: the state of the host does not change.
 */
#define _GNU_SOURCE
#define __SANE_USERSPACE_TYPES__	/* __u64 is %llu */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "libspapr.h"

#define DEVICES		"/sys/bus/pci/devices/"
#define VFIO_PCI	"/sys/bus/pci/drivers/vfio-pci"
#define HUGEPAGES	"/sys/kernel/mm/hugepages"
#define REFUSAL		"spapr_tce_refusal:"
#define PCI_BRIDGE	0x0604
#define MAX_DEVICES	64

#define KIB		1024ULL
#define GIB		(KIB * KIB * KIB)
#define DEFAULT_WINDOW	GIB	/* of a guest's host bridge, in QEMU */
#define DEFAULT_SHIFT	12
#define SECOND_SHIFT	24	/* the largest pages that a guest chooses */

static struct {
	__u64 memory;
	__u64 max_memory;	/* 0: no hotplug */
	unsigned int bridges;
	bool bridges_given;
	unsigned int nr;
	char bdf[MAX_DEVICES][SPAPR_BDF_LEN];
	unsigned int nr_groups;
	int group[MAX_DEVICES];
	/* info of the first container that could be opened */
	bool opened;
	int version;
	struct vfio_iommu_spapr_tce_info info;
	unsigned int wrong;
} doc = { .memory = GIB, .bridges = 1 };

/* ------------------------------------------------------------------ */
/* Lines */

#define ok(fmt, ...)	printf("ok      " fmt "\n", ##__VA_ARGS__)
#define note(fmt, ...)	printf("note    " fmt "\n", ##__VA_ARGS__)
#define wrong(fmt, ...)	({						\
	doc.wrong++;							\
	printf("WRONG   " fmt "\n", ##__VA_ARGS__);			\
})

/* Remedy of a problem. */
#define to_do(fmt, ...)	printf("        do: " fmt "\n", ##__VA_ARGS__)

/* "64K", "2M", "1G" */
static const char *size_text(__u64 bytes)
{
	static const char * const unit[] = { "", "K", "M", "G", "T" };
	static char text[4][32];
	static unsigned int turn;
	char *t = text[turn++ % 4];
	unsigned int i = 0;

	for (; i < 4 && bytes && !(bytes % KIB); i++)
		bytes /= KIB;
	snprintf(t, sizeof(text[0]), "%llu%s", bytes, unit[i]);
	return t;
}

/* ------------------------------------------------------------------ */
/* Files */

/* Last component of the target of a link; an empty string if there is none. */
static const char *link_name(const char *fmt, const char *bdf)
{
	static char target[PATH_MAX];
	char path[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), fmt, bdf);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return "";
	target[len] = '\0';
	return strrchr(target, '/') ? strrchr(target, '/') + 1 : target;
}

static const char *driver_of(const char *bdf)
{
	return link_name(DEVICES "%s/driver", bdf);
}

static int group_of(const char *bdf)
{
	const char *name = link_name(DEVICES "%s/iommu_group", bdf);

	return *name ? atoi(name) : -1;
}

static unsigned long long read_number(const char *path, int base)
{
	unsigned long long n = 0;
	char text[32];
	FILE *f = fopen(path, "re");

	if (f && fgets(text, sizeof(text), f))
		n = strtoull(text, NULL, base);
	if (f)
		fclose(f);
	return n;
}

static bool is_bridge(const char *bdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DEVICES "%s/class", bdf);
	return read_number(path, 16) >> 8 == PCI_BRIDGE;
}

static int only_bdf(const struct dirent *d)
{
	return isxdigit(d->d_name[0]) && strchr(d->d_name, ':');
}

/* Returns a process that has the file open, or 0. */
static pid_t who_has(const char *file)
{
	struct dirent *p, *f;
	char path[PATH_MAX];
	pid_t found = 0;
	DIR *proc = opendir("/proc"), *fds;

	while (proc && !found && (p = readdir(proc))) {
		if (!isdigit(p->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fd", p->d_name);
		fds = opendir(path);
		while (fds && !found && (f = readdir(fds))) {
			char link[PATH_MAX], target[64];
			ssize_t len;

			snprintf(link, sizeof(link), "%s/%s", path, f->d_name);
			len = readlink(link, target, sizeof(target) - 1);
			if (len <= 0)
				continue;
			target[len] = '\0';
			if (!strcmp(target, file))
				found = atoi(p->d_name);
		}
		if (fds)
			closedir(fds);
	}
	if (proc)
		closedir(proc);
	return found;
}

static bool has_ipc_lock(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { };

	return !syscall(SYS_capget, &header, data) &&
	       data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &
	       CAP_TO_MASK(CAP_IPC_LOCK);
}

/* ------------------------------------------------------------------ */
/* The kernel */

static bool check_kernel(void)
{
	int fd = spapr_container_fd(), ret;

	if (fd == -EACCES || fd == -EPERM) {
		wrong("/dev/vfio/vfio cannot be opened by user %u", geteuid());
		to_do("chmod 0666 /dev/vfio/vfio; groups have permissions of their own");
		return false;
	}
	if (fd < 0) {
		wrong("/dev/vfio/vfio: %s", strerror(-fd));
		to_do("modprobe vfio (CONFIG_VFIO_GROUP, CONFIG_VFIO_CONTAINER)");
		return false;
	}
	ok("vfio is there");

	ret = __spapr_ioctl(fd, VFIO_CHECK_EXTENSION,
			    (void *)VFIO_SPAPR_TCE_v2_IOMMU);
	close(fd);
	if (ret <= 0) {
		wrong("vfio has no IOMMU driver for TCE tables");
		to_do("modprobe vfio_iommu_spapr_tce (CONFIG_VFIO_IOMMU_SPAPR_TCE)");
		return false;
	}
	ok("vfio_iommu_spapr_tce is there");

	if (access(VFIO_PCI, F_OK)) {
		wrong("vfio-pci is not there");
		to_do("modprobe vfio-pci (CONFIG_VFIO_PCI)");
		return false;
	}
	ok("vfio-pci is there");
	return true;
}

/* Whether a KVM guest can have TCE tables; else QEMU emulates it. */
static bool check_kvm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, err = errno;
	bool good;

	vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	if (kvm >= 0)
		err = errno;
	good = vm >= 0 && ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_SPAPR_TCE) > 0;
	if (good)
		ok("KVM is there");
	else
		note("QEMU would emulate a guest, without KVM (%s): modprobe kvm-hv",
		     vm < 0 ? strerror(err) : "it has no TCE tables");
	if (vm >= 0)
		close(vm);
	if (kvm >= 0)
		close(kvm);
	return good;
}

/* ------------------------------------------------------------------ */
/* Device and its group */

static void how_to_bind(const char *bdf)
{
	if (*driver_of(bdf))
		to_do("echo %s > " DEVICES "%s/driver/unbind, then", bdf, bdf);
	to_do("echo vfio-pci > " DEVICES
	      "%s/driver_override; echo %s > /sys/bus/pci/drivers_probe",
	      bdf, bdf);
}

/* All other devices of the group must not be bound to kernel drivers. */
static bool check_others(const char *bdf, int group)
{
	char path[PATH_MAX];
	struct dirent **list;
	bool good = true;
	int i, n;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices",
		 group);
	n = scandir(path, &list, only_bdf, alphasort);
	for (i = 0; i < n; i++) {
		const char *other = list[i]->d_name, *driver = driver_of(other);

		if (!strcmp(other, bdf)) {
			/* checked already */
		} else if (is_bridge(other)) {
			note("group %d: %s is a bridge, and may keep its driver",
			     group, other);
		} else if (!*driver || !strncmp(driver, "vfio-pci", 8) ||
			   !strcmp(driver, "pci-stub")) {
			note("group %d: %s goes with it, a guest may have it too",
			     group, other);
		} else {
			wrong("group %d: %s is in it too, with driver %s",
			      group, other, driver);
			to_do("echo %s > " DEVICES "%s/driver/unbind",
			      other, other);
			good = false;
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return good;
}

/* Returns the file of the group, or -1 after a message. */
static int open_group(int group)
{
	char path[32];
	struct stat st;
	pid_t pid;
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == EBUSY) {
		pid = who_has(path);
		if (pid)
			wrong("%s is in use by process %d", path, pid);
		else
			wrong("%s is in use", path);
		to_do("end the program that uses it: fuser %s", path);
	} else if ((errno == EACCES || errno == EPERM) && !stat(path, &st)) {
		wrong("%s cannot be opened by user %u: it is of user %u, mode %o",
		      path, geteuid(), st.st_uid, st.st_mode & 0777);
		to_do("chown %u %s", geteuid(), path);
	} else {
		wrong("%s: %s", path, strerror(errno));
		to_do("bind the device to vfio-pci, which makes this file");
	}
	return -1;
}

static bool set_iommu(int fd, int group)
{
	static const int type[] = {
		VFIO_SPAPR_TCE_v2_IOMMU, VFIO_SPAPR_TCE_IOMMU,
	};
	int i, ret = 0;

	for (i = 0; i < 2; i++) {
		ret = __spapr_ioctl(fd, VFIO_SET_IOMMU,
				    (void *)(unsigned long)type[i]);
		if (ret)
			continue;
		doc.version = 2 - i;
		if (i)
			note("group %d: version 1 only: each map pins memory, which is slow",
			     group);
		else
			ok("group %d: version 2, memory is registered once",
			   group);
		return true;
	}
	wrong("group %d: VFIO_SET_IOMMU: %s", group, strerror(-ret));
	to_do("look at dmesg, and whether the device has ibm,dma-window in the device tree");
	return false;
}

static void say_fdinfo(int fd)
{
	char path[64], text[256] = "";
	bool ours = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && !ours && fgets(text, sizeof(text), f))
		ours = !strncmp(text, "spapr_tce_version", 17);
	if (f)
		fclose(f);
	if (ours)
		ok("fdinfo of a container says what is registered and refused");
	else
		note("fdinfo says nothing of containers: a kernel without the registry");
}

static bool check_group(int group)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int fd = open_group(group), container, ret;
	bool good = false;

	if (fd < 0)
		return false;
	ok("/dev/vfio/%d can be opened", group);
	container = spapr_container_fd();
	if (container < 0)
		goto out_group;

	if (__spapr_ioctl(fd, VFIO_GROUP_GET_STATUS, &status) ||
	    !(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		wrong("group %d is not viable: a driver of the kernel has a part of it",
		      group);
		to_do("unbind what is named above");
		goto out;
	}
	ret = __spapr_ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container);
	if (ret) {
		wrong("group %d: VFIO_GROUP_SET_CONTAINER: %s", group,
		      strerror(-ret));
		to_do("look at dmesg; another user of the group keeps it");
		goto out;
	}
	good = set_iommu(container, group);
	if (!good)
		goto out;
	ret = __spapr_info(container, &doc.info);
	if (ret) {
		wrong("group %d tells no windows: %s", group, strerror(-ret));
		good = false;
	} else if (!doc.opened) {
		doc.opened = true;
		say_fdinfo(container);
	}
out:
	close(container);
out_group:
	close(fd);
	return good;
}

static bool check_device(const char *bdf)
{
	char path[PATH_MAX];
	const char *driver;
	bool bound, free;
	unsigned int i;
	int group;

	printf("\n%s\n", bdf);
	snprintf(path, sizeof(path), DEVICES "%s", bdf);
	if (access(path, F_OK)) {
		wrong("there is no PCI device %s", bdf);
		to_do("take a name from: ls " DEVICES);
		return false;
	}
	if (is_bridge(bdf)) {
		wrong("%s is a bridge", bdf);
		to_do("name a device behind it");
		return false;
	}
	group = group_of(bdf);
	if (group < 0) {
		wrong("%s has no IOMMU group", bdf);
		to_do("CONFIG_SPAPR_TCE_IOMMU=y; ibm,dma-window in the device tree");
		return false;
	}
	ok("%s is in IOMMU group %d", bdf, group);

	driver = driver_of(bdf);
	bound = !strncmp(driver, "vfio-pci", 8);
	if (bound) {
		ok("%s is bound to vfio-pci", bdf);
	} else {
		wrong("%s has %s%s, not vfio-pci", bdf,
		      *driver ? "driver " : "no driver", driver);
		how_to_bind(bdf);
	}
	free = check_others(bdf, group);
	if (!bound || !free)
		return false;
	for (i = 0; i < doc.nr_groups; i++)
		if (doc.group[i] == group)
			return true;
	doc.group[doc.nr_groups++] = group;
	return check_group(group);
}

/* ------------------------------------------------------------------ */
/* Windows and pages */

static void say_page_sizes(__u64 sizes)
{
	int shift;

	printf("ok      IOMMU pages of");
	for (shift = 0; shift < 64; shift++)
		if (sizes & (1ULL << shift))
			printf(" %s", size_text(1ULL << shift));
	putchar('\n');
}

/* IOMMU page size that QEMU chooses for memory in pages of @size. */
static unsigned int iommu_shift_for(__u64 size)
{
	unsigned int shift = __builtin_ctzll(size);

	while (shift > DEFAULT_SHIFT &&
	       !(doc.info.ddw.pgsizes & (1ULL << shift)))
		shift--;
	return shift;
}

static void check_huge_pages(void)
{
	struct dirent *d;
	DIR *dir = opendir(HUGEPAGES);
	unsigned long long kb, count, fits;
	char path[PATH_MAX];
	bool any = false;

	while (dir && (d = readdir(dir))) {
		if (sscanf(d->d_name, "hugepages-%llukB", &kb) != 1)
			continue;
		snprintf(path, sizeof(path), HUGEPAGES "/%s/nr_hugepages",
			 d->d_name);
		count = read_number(path, 10);
		if (!count)
			continue;
		any = true;
		fits = 1ULL << iommu_shift_for(kb * KIB);
		if (fits == kb * KIB)
			ok("%llu huge pages of %s, and IOMMU pages of this size",
			   count, size_text(fits));
		else
			note("%llu huge pages of %s, but IOMMU pages of %s at most",
			     count, size_text(kb * KIB), size_text(fits));
	}
	if (dir)
		closedir(dir);
	if (!any)
		note("no huge pages, which make larger IOMMU pages than %s",
		     size_text(1ULL << iommu_shift_for(spapr_page_size())));
}

static void check_windows(void)
{
	const struct vfio_iommu_spapr_tce_info *info = &doc.info;

	printf("\nwindows\n");
	ok("default window: %s at bus address %#x",
	   size_text(info->dma32_window_size), info->dma32_window_start);
	if (doc.version == 1) {
		note("no dynamic windows: a guest maps and unmaps each page of its I/O");
		return;
	}
	if (info->ddw.max_dynamic_windows_supported < 2)
		note("%u window: a guest has the default one or the 64-bit one",
		     info->ddw.max_dynamic_windows_supported);
	else
		ok("%u windows: the default one and one for all memory",
		   info->ddw.max_dynamic_windows_supported);
	if (info->ddw.levels <= 1)
		ok("tables of 1 level, of the hypervisor");
	else
		ok("tables of up to %u levels", info->ddw.levels);
	say_page_sizes(info->ddw.pgsizes);
	check_huge_pages();
}

/* ------------------------------------------------------------------ */
/* Locked memory by the kernel's rules, in whole pages of the kernel */

static __u64 round_up(__u64 n, __u64 to)
{
	return (n + to - 1) / to * to;
}

static unsigned int log2_of(__u64 n)
{
	return 63 - __builtin_clzll(n);
}

/* Number of levels that QEMU requests first. */
static unsigned int levels_of(unsigned int shift, __u64 window)
{
	unsigned int total = log2_of(window >> shift) + 3;
	unsigned int each = spapr_page_shift() + 8;

	return (total + each - 1) / each;
}

/*
 * TCE table and userspace view, both fully accounted. On bare metal as in
 * pnv_pci_ioda2_get_table_size(); a hypervisor owns the table, and 8 bytes per
 * TCE are accounted.
 */
static __u64 table_of(unsigned int shift, __u64 window)
{
	__u64 page = spapr_page_size(), table, block, bytes = 0;
	unsigned int levels = levels_of(shift, window), bits;

	table = (window >> shift) * 8;
	if (doc.info.ddw.levels <= 1)
		return round_up(table, page);

	if (table < 4096)
		table = 4096;
	bits = (log2_of(window >> shift) + levels - 1) / levels + 3;
	block = 1ULL << bits;
	if (block < page)
		block = page;
	for (; levels; levels--) {
		bytes += round_up(table, block);
		table = table / block * 8;
		if (table < block)
			table = block;
	}
	return round_up(2 * bytes, page);
}

/* KVM's guest TCE table: its pages, and their array behind a small header. */
static __u64 kvm_table_of(unsigned int shift, __u64 window)
{
	__u64 page = spapr_page_size();
	__u64 pages = round_up((window >> shift) * 8, page) / page;

	return pages * page + round_up(256 + 8 * pages, page);
}

struct need {
	__u64 memory;
	__u64 tables;
	__u64 kvm;
};

/* The guest's 64-bit window. Hotplugged memory starts at a whole GiB. */
static __u64 second_window(void)
{
	__u64 end = doc.memory;

	if (doc.max_memory > doc.memory)
		end = round_up(doc.memory, GIB) + doc.max_memory - doc.memory;
	return 1ULL << (64 - __builtin_clzll(end - 1));
}

/* The guest's default bridge has KVM tables too, for emulated devices. */
static struct need need_of(bool kvm)
{
	unsigned int shift = iommu_shift_for(spapr_page_size());
	__u64 window = second_window();
	struct need n = { };
	__u64 second, kvm_second;

	n.kvm = kvm_table_of(DEFAULT_SHIFT, DEFAULT_WINDOW);
	n.tables = table_of(DEFAULT_SHIFT, DEFAULT_WINDOW);
	if (doc.version == 1) {
		n.memory = (__u64)doc.bridges * doc.info.dma32_window_size;
		n.tables = table_of(DEFAULT_SHIFT, doc.info.dma32_window_size);
		second = 0;
		kvm_second = 0;
	} else {
		n.memory = round_up(doc.memory, spapr_page_size());
		second = table_of(shift, window);
		kvm_second = kvm_table_of(SECOND_SHIFT, window);
	}
	if (doc.version == 1 ||
	    doc.info.ddw.max_dynamic_windows_supported > 1) {
		n.tables += second;
		n.kvm += kvm_second;
	} else {
		n.tables = n.tables > second ? n.tables : second;
		n.kvm = n.kvm > kvm_second ? n.kvm : kvm_second;
	}
	n.tables *= doc.bridges;
	n.kvm *= kvm ? doc.bridges + 1 : 0;
	return n;
}

/* Limit of libvirt for a guest with passed-through devices on ppc64, in KiB. */
static __u64 libvirt_kib(void)
{
	__u64 memory = doc.memory / KIB, bridges = doc.bridges + 1;
	__u64 max = doc.max_memory > doc.memory ? doc.max_memory / KIB : memory;
	__u64 old = 2 * KIB * KIB * bridges;
	__u64 now = memory + memory / 512 * bridges + 8192;

	return max / 128 + 4096 * bridges + 8192 + (old > now ? old : now);
}

static bool check_limit(bool kvm)
{
	struct need n = need_of(kvm);
	__u64 all = n.memory + n.tables + n.kvm;
	struct rlimit limit;

	printf("\nlocked memory\n");
	ok("a guest of %s with %u host bridge(s) locks %llu KiB,",
	   size_text(doc.memory), doc.bridges, all / KIB);
	ok("  %llu of %s, %llu of TCE tables, %llu of KVM's tables",
	   n.memory / KIB,
	   doc.version == 1 ? "windows, whatever is mapped" : "memory",
	   n.tables / KIB, n.kvm / KIB);
	if (doc.max_memory > doc.memory)
		ok("  and %llu more when all memory is plugged that can be",
		   (doc.max_memory - doc.memory) / KIB);
	if (libvirt_kib() * KIB >= all)
		ok("libvirt allows it %llu KiB", libvirt_kib());
	else
		note("libvirt allows it %llu KiB only: set hard_limit in memtune",
		     libvirt_kib());

	if (has_ipc_lock()) {
		ok("no limit for root (CAP_IPC_LOCK), others need: ulimit -l %llu",
		   all / KIB);
		return true;
	}
	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return false;
	if (limit.rlim_cur == RLIM_INFINITY) {
		ok("no limit is set for this user");
	} else if (limit.rlim_cur >= all) {
		ok("this user may lock %llu KiB",
		   (unsigned long long)limit.rlim_cur / KIB);
	} else {
		wrong("this user may lock %llu KiB",
		      (unsigned long long)limit.rlim_cur / KIB);
		to_do("ulimit -l %llu; LimitMEMLOCK=%lluK in a unit of systemd",
		      all / KIB, all / KIB);
		return false;
	}
	return true;
}

/* ------------------------------------------------------------------ */
/* Meaning of a refusal */

static const struct {
	const char *cause;
	const char *means;
	const char *what;
} causes[] = {
	{ "no window at this bus address",
	  "the device was to reach an address that no DMA window has",
	  "compare with spapr_tce_window; where a window is missing, its CREATE\n"
	  "was refused before" },
	{ "outside of the window, or not whole IOMMU pages",
	  "bus address, size or the address of the memory is not a multiple of the\n"
	  "window's IOMMU page, or the range leaves the window",
	  "see page= of spapr_tce_window; all DIMMs need pages as large as those\n"
	  "of the memory that the guest started with" },
	{ "neither for reading nor for writing",
	  "MAP has flags that allow the device nothing",
	  "the program has to set VFIO_DMA_MAP_FLAG_READ or _WRITE" },
	{ "bus addresses or memory wrap around",
	  "start and size of the call lead beyond the last address of 64 bits",
	  "the program computes them wrongly" },
	{ "not whole pages, or nothing, or beyond the end",
	  "address or size is not a multiple of the kernel's page, the size is 0,\n"
	  "or the range ends beyond user space",
	  "DPDK with --no-huge registers 4K pieces: it needs a kernel with 4K\n"
	  "pages, or huge pages" },
	{ "not registered, or in runs smaller than the IOMMU page",
	  "the memory at this address was not registered, or its contiguous runs\n"
	  "are smaller than the IOMMU pages of the window",
	  "see start, size and granule of spapr_tce_region; use huge pages of one\n"
	  "size for all memory" },
	{ "was read-only when it was first registered",
	  "a device was to write to memory that was read-only when the first\n"
	  "container registered it",
	  "make it writable, unregister it in all containers, register it again" },
	{ "the platform refused",
	  "the firmware or the hypervisor refused to change a table or a window",
	  "look at dmesg, and at the log of the hypervisor" },
	{ "the kernel has no memory for it",
	  "the kernel could not allocate what it needs",
	  "free memory; with hugetlb_cma= there must be a free huge page outside\n"
	  "of that area; see dmesg" },
	{ "nothing was registered or enabled yet",
	  "MAP or UNMAP came before REGISTER (version 2) or ENABLE (version 1)",
	  "the program must make these calls first" },
	{ "page size, window size or levels not supported",
	  "this machine has no such window",
	  "spapr_doctor says which IOMMU pages and levels there are; the size must\n"
	  "be a power of two" },
	{ "all windows are in use",
	  "the container has as many windows as the machine can have",
	  "remove one, as the default one" },
	{ "over the limit of locked memory, bytes left of it",
	  "RLIMIT_MEMLOCK of the process is too low",
	  "spapr_doctor --memory SIZE --bridges M says how much a guest needs:\n"
	  "ulimit -l, LimitMEMLOCK=, or hard_limit of libvirt" },
	{ "overlaps what is registered there",
	  "a part of the range is registered as another range",
	  "unregister the range that begins at the address that is named, exactly\n"
	  "as it was registered: see spapr_tce_region of all containers" },
	{ "no memory there, or none that can be pinned",
	  "the process has nothing at the address that is named, or what cannot be\n"
	  "pinned for long: files on a disk, memory of devices",
	  "look in /proc/PID/maps; use anonymous memory, memfd or hugetlbfs" },
	{ "the process was killed",
	  "a fatal signal ended the call",
	  "nothing: the call has changed nothing" },
	{ "is registered already, or being registered",
	  "this container has registered exactly this range, or another thread is\n"
	  "about to",
	  "the program may go on, unless the other call fails" },
	{ "is not registered through this container",
	  "exactly this range was not registered by this container",
	  "unregister with start and size as spapr_tce_region has them" },
	{ "it is mapped, references of TCE tables",
	  "devices can still reach the memory, so it stays pinned",
	  "unmap it, then unregister it again; DPDK ends like this, as it unmaps\n"
	  "another range: no harm" },
	{ "other calls in progress map as much as the window",
	  "version 1: MAPs of other threads wait for their memory",
	  "call again; something does not serve page faults in time" },
	{ "no contiguous memory for a level of the table, bytes of a level",
	  "each level of a TCE table is one block of memory, and none is free",
	  "ask for more levels (QEMU and DPDK do so by themselves), a smaller\n"
	  "window or larger IOMMU pages" },
	{ "no place for a first window beside the second",
	  "the hypervisor has no address for a first window while the 64-bit one\n"
	  "exists",
	  "remove the other window first, then create both" },
	{ "the group has no TCE tables",
	  "the IOMMU of this group is not one of TCE tables",
	  "look at dmesg for why the device got no table" },
	{ "the group has no dynamic windows, version 1 can use it",
	  "the hypervisor offers the default window only",
	  "nothing with QEMU, which goes on with version 1; DPDK cannot" },
	{ "version 1 has one group, or the group is attached",
	  "a container of version 1 has one group",
	  "use a container for each group; in QEMU, a host bridge for each" },
	{ "the windows cannot be shared by these groups",
	  "the hypervisor has the window of this group at another address, or the\n"
	  "groups are of different platforms, so they cannot have it together",
	  "QEMU: -device spapr-pci-host-bridge for each group; DPDK: a process for\n"
	  "each, with -a BDF --file-prefix NAME" },
	{ "for another reason, see the error",
	  "the number after error= is all that is known",
	  "look at dmesg" },
	{ "too many regions: registered, or given up and still mapped",
	  "there are 8 million, and no number is left for another one",
	  "unmap what was given up, register larger ranges" },
};

#define NR_CAUSES	(sizeof(causes) / sizeof(*causes))

/* Prints lines with the same margin; @first is printed in that of the first. */
static void put_lines(const char *first, const char *lines)
{
	size_t len;

	for (; *lines; lines += len + !!lines[len], first = "") {
		len = strcspn(lines, "\n");
		printf("%12s%.*s\n", first, (int)len, lines);
	}
}

static bool explain(const char *line)
{
	const char *cause = strstr(line, "cause=");
	unsigned int i;
	size_t len;

	printf("%s\n", line);
	for (i = 0; cause && i < NR_CAUSES; i++) {
		len = strlen(causes[i].cause);
		if (strncmp(cause + 6, causes[i].cause, len) ||
		    !strchr(":", cause[6 + len]))
			continue;
		put_lines("", causes[i].means);
		put_lines("do: ", causes[i].what);
		return true;
	}
	wrong("this program does not know the cause");
	to_do("take spapr_doctor of the same kernel");
	return false;
}

/* Returns the number of lines, or -1. */
static int explain_file(const char *path)
{
	char line[512];
	FILE *f = fopen(path, "re");
	int n = 0;
	char *at;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		at = strstr(line, REFUSAL);
		if (!at)
			continue;
		at += strlen(REFUSAL);
		explain(at + strspn(at, " \t"));
		n++;
	}
	fclose(f);
	return n;
}

/* All containers of a process. */
static int explain_pid(const char *pid)
{
	char path[PATH_MAX];
	struct dirent *d;
	int n = 0, one;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while ((d = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid,
			 d->d_name);
		one = d->d_name[0] == '.' ? 0 : explain_file(path);
		n += one > 0 ? one : 0;
	}
	closedir(dir);
	return n;
}

static int explain_refused(const char *what)
{
	bool pid = what[strspn(what, "0123456789")] == '\0';
	int n = pid ? explain_pid(what) : explain_file(what);

	if (n < 0) {
		wrong("%s %s: %s", pid ? "process" : "file", what,
		      strerror(errno));
		to_do("give a process of yours, or a copy of /proc/PID/fdinfo/FD");
	} else if (!n) {
		note("no call was refused");
	}
	return doc.wrong ? 1 : 0;
}

/* ------------------------------------------------------------------ */

static int print_help(const char *name, int ret)
{
	fprintf(ret ? stderr : stdout,
		"usage: %s [--memory SIZE] [--max-memory SIZE] [--bridges M] [BDF...]\n"
		"       %s --refused FILE|PID\n"
		"\n"
		"Says whether the PCI devices can be passed to a guest, what is\n"
		"wrong and what to do; without BDF for all that vfio-pci has.\n"
		"\n"
		"  --memory SIZE  memory that the guest starts with: 512M, 4G (1G)\n"
		"  --max-memory SIZE\n"
		"                 what it can have with DIMMs: maxmem= of QEMU\n"
		"  --bridges M    host bridges of the guest with passed-through devices,\n"
		"                 beside its default one; without it one for each group\n"
		"  --refused X    what the refusals in a copy of fdinfo of a container,\n"
		"                 or in all containers of a process, mean\n"
		"\n"
		"Ends with 0 if they can, 1 if something is wrong, 2 for bad usage.\n",
		name, name);
	return ret;
}

/* "512M"; 0 if it is invalid. */
static __u64 parse_size(const char *text)
{
	static const char units[] = "KMGT";
	const char *unit;
	__u64 n;
	char *end;

	if (!isdigit(text[0]))
		return 0;
	n = strtoull(text, &end, 10);
	if (!*end)
		return n < spapr_page_size() ? 0 : n;
	unit = strchr(units, toupper(*end));
	if (!unit || end[1] || n >> 24)
		return 0;
	return n << (10 * (unit - units + 1));
}

static void find_devices(void)
{
	struct dirent **list;
	int n = scandir(VFIO_PCI, &list, only_bdf, alphasort), i;

	for (i = 0; i < n; i++) {
		if (doc.nr < MAX_DEVICES)
			snprintf(doc.bdf[doc.nr++], SPAPR_BDF_LEN, "%s",
				 list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

static int examine(void)
{
	unsigned int i;
	bool kvm;

	printf("host\n");
	if (!check_kernel())
		return 1;
	kvm = check_kvm();

	if (!doc.nr)
		find_devices();
	if (!doc.nr) {
		wrong("no device is bound to vfio-pci, and none was named");
		to_do("spapr_doctor BDF, with a name from: ls " DEVICES);
	}
	for (i = 0; i < doc.nr; i++)
		check_device(doc.bdf[i]);
	if (doc.opened) {
		if (!doc.bridges_given)
			doc.bridges = doc.nr_groups;
		check_windows();
		check_limit(kvm);
	}
	printf("\n%s\n", doc.wrong ? "Something is wrong: see what to do." :
		       "These devices can be passed to a guest.");
	return doc.wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "memory", required_argument, NULL, 'm' },
		{ "max-memory", required_argument, NULL, 'x' },
		{ "bridges", required_argument, NULL, 'b' },
		{ "refused", required_argument, NULL, 'r' },
		{ }
	};
	const char *refused = NULL;
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt_long(argc, argv, "hm:x:b:r:", options,
				NULL)) != -1) {
		switch (c) {
		case 'h':
			return print_help(argv[0], 0);
		case 'm':
			doc.memory = parse_size(optarg);
			break;
		case 'x':
			doc.max_memory = parse_size(optarg);
			if (!doc.max_memory)
				return print_help(argv[0], 2);
			break;
		case 'b':
			doc.bridges = atoi(optarg);
			doc.bridges_given = true;
			break;
		case 'r':
			refused = optarg;
			break;
		default:
			return print_help(argv[0], 2);
		}
	}
	if (!doc.memory || doc.bridges < 1 || doc.bridges > 1000 ||
	    (doc.max_memory && doc.max_memory < doc.memory) ||
	    (refused && optind < argc))
		return print_help(argv[0], 2);
	if (refused)
		return explain_refused(refused);
	for (; optind < argc; optind++) {
		if (doc.nr == MAX_DEVICES ||
		    strlen(argv[optind]) >= SPAPR_BDF_LEN)
			return print_help(argv[0], 2);
		snprintf(doc.bdf[doc.nr++], SPAPR_BDF_LEN, "%s", argv[optind]);
	}
	return examine();
}
