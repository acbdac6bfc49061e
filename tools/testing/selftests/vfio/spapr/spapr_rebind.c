// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that are passed to user space and returned to kernel drivers.
 *
 * VFIO_REBIND_BDF names PCI devices of disks whose contents will be
 * overwritten: "BDF BDF [BDF...]", two or more of each IOMMU group, for any
 * number of groups. All devices of a group are bound to vfio-pci, user space
 * opens the group, uses it and closes it, and each device must do DMA for its
 * own driver again: data written to its disk is read back.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>

#include "spapr_test.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"
#define MAX_DEVICES	8
#define ROUNDS		10
#define IO_SIZE		MIB
#define IO_CHUNK	(128 * KIB)
#define SECONDS		600

#define HOW_TO_NAME \
	"needs VFIO_REBIND_BDF='BDF BDF...': disks to be overwritten, two of " \
	"an IOMMU group"

struct device {
	char bdf[SPAPR_BDF_LEN];
	char driver[64];
	int group;
};

FIXTURE(rebind)
{
	struct device dev[MAX_DEVICES];
	unsigned int nr;
	struct spapr_account base;
	size_t size;
	char *mem;
	char *buf[2];
};

/* Last component of the target of a link of a device. */
static int read_link(const char *bdf, const char *link, char *name, size_t len)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", bdf, link);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	snprintf(name, len, "%s", strrchr(target, '/') + 1);
	return 0;
}

/* Binds a device to this driver only; NULL: to its own driver. */
static int bind_to(const struct device *dev, const char *driver)
{
	const char *wanted = driver ?: dev->driver;
	char now[64];
	int ret;

	ret = spapr_write_attr(dev->bdf, "driver_override", driver ?: "\n");
	if (ret)
		return ret;
	if (!read_link(dev->bdf, "driver", now, sizeof(now))) {
		ret = spapr_write_attr(dev->bdf, "driver/unbind", dev->bdf);
		if (ret)
			return ret;
	}
	ret = spapr_write("/sys/bus/pci/drivers_probe", dev->bdf);
	if (ret)
		return ret;
	ret = read_link(dev->bdf, "driver", now, sizeof(now));
	return ret ?: strcmp(now, wanted) ? -ENODEV : 0;
}

/* Finds the disk of a device, or returns -ENOENT. */
static int find_disk(const struct device *dev, char *path, size_t len)
{
	DIR *dir = opendir("/sys/block");
	char link[PATH_MAX], real[PATH_MAX], part[SPAPR_BDF_LEN + 2];
	struct dirent *d;
	int ret = -ENOENT;

	if (!dir)
		return -errno;
	snprintf(part, sizeof(part), "/%s/", dev->bdf);
	while (ret && (d = readdir(dir))) {
		snprintf(link, sizeof(link), "/sys/block/%s", d->d_name);
		if (d->d_name[0] == '.' || !realpath(link, real) ||
		    !strstr(real, part))
			continue;
		snprintf(path, len, "/dev/%s", d->d_name);
		ret = 0;
	}
	closedir(dir);
	return ret;
}

/* Drivers probe their disks asynchronously. */
static int open_disk(const struct device *dev)
{
	char path[PATH_MAX];
	int fd;

	for (;;) {
		if (!find_disk(dev, path, sizeof(path))) {
			fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
			if (fd >= 0)
				return fd;
		}
		usleep(10000);
	}
}

static bool transfer(int fd, char *buf, bool in)
{
	size_t off;
	ssize_t n;

	for (off = 0; off < IO_SIZE; off += IO_CHUNK) {
		n = in ? pread(fd, buf + off, IO_CHUNK, off) :
			 pwrite(fd, buf + off, IO_CHUNK, off);
		if (n != IO_CHUNK)
			return false;
	}
	return true;
}

/* All disks are written before any of them is read back. */
static bool disks_work(struct _test_data_rebind *self, unsigned int seed)
{
	int fd[MAX_DEVICES];
	bool good = true;
	unsigned int i;

	for (i = 0; i < self->nr; i++) {
		fd[i] = open_disk(&self->dev[i]);
		fill(self->buf[0], IO_SIZE, seed + i);
		good &= transfer(fd[i], self->buf[0], false);
	}
	for (i = 0; i < self->nr; i++) {
		memset(self->buf[1], 0, IO_SIZE);
		good &= transfer(fd[i], self->buf[1], true) &&
			is_filled(self->buf[1], IO_SIZE, seed + i);
		close(fd[i]);
	}
	return good;
}

static void scan(struct _test_data_rebind *self)
{
	char *names = strdup(getenv("VFIO_REBIND_BDF") ?: ""), *name, *rest;
	struct device *dev;
	char group[16];

	for (name = strtok_r(names, " ,", &rest);
	     name && self->nr < MAX_DEVICES;
	     name = strtok_r(NULL, " ,", &rest)) {
		dev = &self->dev[self->nr];
		snprintf(dev->bdf, sizeof(dev->bdf), "%s", name);
		if (read_link(name, "driver", dev->driver,
			      sizeof(dev->driver)) ||
		    read_link(name, "iommu_group", group, sizeof(group)))
			continue;
		dev->group = atoi(group);
		self->nr++;
	}
	free(names);
}

FIXTURE_SETUP(rebind)
{
	int i;

	if (geteuid() || !getenv("VFIO_REBIND_BDF"))
		SKIP(return, HOW_TO_NAME);
	scan(self);
	ASSERT_LE(2U, self->nr) {
		TH_LOG("too few devices with a driver and an IOMMU group in %s",
		       getenv("VFIO_REBIND_BDF"));
	}
	ASSERT_EQ(self->dev[0].group, self->dev[1].group);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, posix_memalign((void **)&self->buf[i], 0x10000,
					    IO_SIZE));
	self->size = 16 * spapr_page_size();
	self->mem = spapr_mem(self->size);
	ASSERT_NE(NULL, self->mem);
	spapr_account(&self->base);
}

FIXTURE_TEARDOWN(rebind)
{
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

/* A version 2 container, or version 1 if that is refused. */
static void open_group(struct __test_metadata *_metadata, struct spapr *s,
		       int group)
{
	char path[32];

	spapr_open(s, VFIO_SPAPR_TCE_v2_IOMMU, 0);
	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	s->group[0] = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, s->group[0]);
	ASSERT_EQ(0, __spapr_ioctl(s->group[0], VFIO_GROUP_SET_CONTAINER,
				   &s->fd));
	if (!__spapr_ioctl(s->fd, VFIO_SET_IOMMU,
			   (void *)VFIO_SPAPR_TCE_v2_IOMMU))
		return;
	s->type = VFIO_SPAPR_TCE_IOMMU;
	ASSERT_EQ(0, __spapr_ioctl(s->fd, VFIO_SET_IOMMU,
				   (void *)VFIO_SPAPR_TCE_IOMMU));
}

/* User space uses one of these setups: nothing, or windows of some kind. */
static void use_group(struct __test_metadata *_metadata,
		      struct _test_data_rebind *self, struct spapr *s,
		      int round)
{
	struct vfio_iommu_spapr_tce_info info;
	__u64 start;

	spapr_info(s->fd, &info);
	start = info.dma32_window_start;
	if (s->type == VFIO_SPAPR_TCE_IOMMU) {
		spapr_enable(s->fd);
		spapr_map(s->fd, start + MIB, self->mem, self->size, SPAPR_RW);
		return;
	}
	if (round % 4 == 0)
		return;
	spapr_register(s->fd, self->mem, self->size);
	if (round % 4 > 1) {
		spapr_remove(s->fd, start);
		spapr_create(s->fd, round % 4 == 2 ? 12 : iommu_shift(&info),
			     GIB, 1, &start);
	}
	spapr_map(s->fd, start + MIB, self->mem, self->size, SPAPR_RW);
	if (round % 4 == 3 && info.ddw.max_dynamic_windows_supported > 1) {
		spapr_create(s->fd, 12, GIB, 1, &start);
		spapr_map(s->fd, start, self->mem, self->size, SPAPR_RW);
	}
}

/* Whether no earlier device has the same group. */
static bool is_first_of_group(const struct _test_data_rebind *self,
			      unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (self->dev[i].group == self->dev[n].group)
			return false;
	return true;
}

static void user_space_has_all(struct __test_metadata *_metadata,
			       struct _test_data_rebind *self, int round)
{
	struct spapr s;
	unsigned int i;

	for (i = 0; i < self->nr; i++)
		ASSERT_EQ(0, bind_to(&self->dev[i], "vfio-pci"));
	for (i = 0; i < self->nr; i++) {
		if (!is_first_of_group(self, i))
			continue;
		open_group(_metadata, &s, self->dev[i].group);
		use_group(_metadata, self, &s, round);
		spapr_close(&s);
	}
}

TEST_F_TIMEOUT(rebind, every_device_of_a_group_does_dma_for_its_driver_again,
	       SECONDS)
{
	unsigned int i, n;
	int round;

	ASSERT_TRUE(disks_work(self, 0));
	for (round = 0; round < ROUNDS; round++) {
		user_space_has_all(_metadata, self, round);
		/* bind the first or the last device first, alternately */
		for (i = 0; i < self->nr; i++) {
			n = round % 2 ? self->nr - 1 - i : i;
			ASSERT_EQ(0, bind_to(&self->dev[n], NULL));
		}
		ASSERT_TRUE(disks_work(self, round + 1)) {
			TH_LOG("round %d", round);
		}
	}
}

/* One driver is bound and works before the other one is bound. */
TEST_F_TIMEOUT(rebind, one_driver_works_while_the_other_is_away, SECONDS)
{
	struct _test_data_rebind one = *self;
	unsigned int i;

	one.nr = 1;
	for (i = self->nr; i--;) {
		user_space_has_all(_metadata, self, 1);
		one.dev[0] = self->dev[i];
		ASSERT_EQ(0, bind_to(&one.dev[0], NULL));
		ASSERT_TRUE(disks_work(&one, i));
	}
	for (i = 0; i < self->nr; i++)
		ASSERT_EQ(0, bind_to(&self->dev[i], NULL));
	ASSERT_TRUE(disks_work(self, 99));
}

TEST_HARNESS_MAIN
