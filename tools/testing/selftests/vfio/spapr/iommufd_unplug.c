// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that are unplugged while user space has them attached: removed from
 * the bus or unbound from the driver by sysfs, which waits until user space has
 * closed them, and plugged in again.
 *
 * The address space stays, and the device that comes back can have it again.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "libiommufd.h"
#include "spapr_test.h"

#define LEN		EDU_DMA_MAX
#define CHUNKS		4
#define PCI		"/sys/bus/pci"

FIXTURE(unplug)
{
	int fd;
	__u32 ioas;
	__u32 hwpt;
	struct device dev;
	int asked;		/* eventfd: the kernel wants the device back */
	long pins;
	char *mem;
};

#define MEM(n)	(self->mem + (n) * CHUNK)

/* ------------------------------------------------------------------ */
/* sysfs */

static bool has(const char *bdf, const char *attr)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI "/devices/%s/%s", bdf, attr);
	return !access(path, F_OK);
}

static int remove_it(const char *bdf)
{
	return spapr_write_attr(bdf, "remove", "1");
}

static int unbind_it(const char *bdf)
{
	return spapr_write_attr(bdf, "driver/unbind", bdf);
}

/* Adds the device and its driver again, whichever is missing. */
static int plug_in(const char *bdf)
{
	int ret = has(bdf, "") ? 0 : spapr_write(PCI "/rescan", "1");

	if (ret || has(bdf, "driver"))
		return ret;
	ret = spapr_write_attr(bdf, "driver_override", "vfio-pci");
	return ret ? : spapr_write(PCI "/drivers_probe", bdf);
}

/* ------------------------------------------------------------------ */
/* A call of sysfs that waits for user space */

struct unplugging {
	pthread_t thread;
	const char *bdf;
	int (*how)(const char *bdf);
};

static void *unplug_it(void *arg)
{
	struct unplugging *u = arg;

	return (void *)(long)u->how(u->bdf);
}

static int begin_to_unplug(struct unplugging *u, const char *bdf,
			   int (*how)(const char *bdf))
{
	u->bdf = bdf;
	u->how = how;
	return -pthread_create(&u->thread, NULL, unplug_it, u);
}

static int end_of_unplug(struct unplugging *u)
{
	void *ret;

	pthread_join(u->thread, &ret);
	return (int)(long)ret;
}

static int set_eventfd(int fd, unsigned int index, int event)
{
	struct {
		struct vfio_irq_set set;
		int event;
	} arg = {
		.set.argsz = sizeof(arg),
		.set.flags = VFIO_IRQ_SET_DATA_EVENTFD |
			     VFIO_IRQ_SET_ACTION_TRIGGER,
		.set.index = index,
		.set.count = 1,
		.event = event,
	};

	return __spapr_ioctl(fd, VFIO_DEVICE_SET_IRQS, &arg);
}

static int ask_by(struct device *dev, int event)
{
	return set_eventfd(dev->edu.fd, VFIO_PCI_REQ_IRQ_INDEX, event);
}

static bool wait_until_asked(int event)
{
	__u64 times;

	return read(event, &times, sizeof(times)) == sizeof(times);
}

/* ------------------------------------------------------------------ */

FIXTURE_SETUP(unplug)
{
	self->fd = -1;
	self->dev.edu.fd = -1;
	NEED_DEVICES(return, 1);
	self->mem = spapr_mem(CHUNKS * CHUNK);
	ASSERT_NE(NULL, self->mem);
	memset(self->mem, 1, CHUNKS * CHUNK);
	self->pins = spapr_pins();
	self->asked = eventfd(0, EFD_CLOEXEC);
	ASSERT_GE(self->asked, 0);
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, open_device(&self->dev, spapr_bdf(0), self->fd));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.id, self->ioas,
				&self->hwpt));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, LOW, MEM(0), CHUNK));
	ASSERT_EQ(0, attach(&self->dev, self->hwpt));
}

FIXTURE_TEARDOWN(unplug)
{
	if (self->dev.edu.fd >= 0)
		edu_close(&self->dev.edu);
	if (self->fd >= 0)
		close(self->fd);
	if (!self->mem)
		return;
	EXPECT_EQ(0, plug_in(spapr_bdf(0)));
	EXPECT_EQ(self->pins, spapr_pins_settle(self->pins));
}

/* It works until it is closed, and its address space stays. */
static void unplug_and_plug_in(struct __test_metadata *_metadata,
			       struct _test_data_unplug *self,
			       int (*how)(const char *bdf))
{
	const char *bdf = spapr_bdf(0);
	struct unplugging u;

	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, HIGH, MEM(1), CHUNK));
	ASSERT_EQ(0, ask_by(&self->dev, self->asked));
	ASSERT_EQ(0, begin_to_unplug(&u, bdf, how));
	ASSERT_TRUE(wait_until_asked(self->asked));
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(&self->dev, HIGH, LOW, MEM(1), 1);
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, HIGH + CHUNK, MEM(2),
			      CHUNK));
	EXPECT_COPIED(&self->dev, HIGH + CHUNK, LOW, MEM(2), 1);

	edu_close(&self->dev.edu);
	ASSERT_EQ(0, end_of_unplug(&u));
	EXPECT_FALSE(has(bdf, "driver"));
	EXPECT_LT(self->pins, spapr_pins());
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, LOW, CHUNK));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, LOW, MEM(3), CHUNK));

	ASSERT_EQ(0, plug_in(bdf));
	ASSERT_EQ(0, open_device(&self->dev, bdf, self->fd));
	EXPECT_NOT_WRITTEN(&self->dev, LOW, MEM(3));
	ASSERT_EQ(0, attach(&self->dev, self->hwpt));
	fill(MEM(3), LEN, 2);
	EXPECT_COPIED(&self->dev, HIGH + CHUNK, LOW, MEM(2), 2);
	EXPECT_TRUE(is_filled(MEM(1), LEN, 1));
	ASSERT_EQ(0, detach(&self->dev));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->hwpt));
}

TEST_F(unplug, a_device_that_is_removed_comes_back)
{
	unplug_and_plug_in(_metadata, self, remove_it);
}

TEST_F(unplug, a_device_that_is_unbound_comes_back)
{
	unplug_and_plug_in(_metadata, self, unbind_it);
}

/* Runs in a child until it is killed. */
static void attach_and_wait(char *mem, int sync)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	int event = eventfd(0, EFD_CLOEXEC);
	struct device dev;
	__u32 ioas;
	bool good;

	good = fd >= 0 && event >= 0 && !ioas_alloc(fd, &ioas) &&
	       !open_device(&dev, spapr_bdf(0), fd) &&
	       !ioas_map(fd, ioas, LOW, mem, CHUNK) && !attach(&dev, ioas) &&
	       !ioas_map(fd, ioas, HIGH, mem, CHUNK) && !ask_by(&dev, event);
	if (write(sync, &good, sizeof(good)) != sizeof(good))
		_exit(1);
	good = wait_until_asked(event);
	if (write(sync, &good, sizeof(good)) == sizeof(good))
		pause();
	_exit(1);
}

static bool child_says_good(int sync)
{
	bool good;

	return read(sync, &good, sizeof(good)) == sizeof(good) && good;
}

TEST_F(unplug, a_program_is_killed_and_the_device_goes)
{
	struct unplugging u;
	int sync[2];
	pid_t pid;

	edu_close(&self->dev.edu);
	close(self->fd);
	self->fd = -1;
	ASSERT_EQ(0, pipe(sync));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		attach_and_wait(self->mem, sync[1]);
	ASSERT_TRUE(child_says_good(sync[0]));
	ASSERT_EQ(0, begin_to_unplug(&u, spapr_bdf(0), remove_it));
	ASSERT_TRUE(child_says_good(sync[0]));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(0, end_of_unplug(&u));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(self->pins, spapr_pins_settle(self->pins));

	ASSERT_EQ(0, plug_in(spapr_bdf(0)));
	self->fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, HIGH, MEM(0), CHUNK));
	ASSERT_EQ(0, open_device(&self->dev, spapr_bdf(0), self->fd));
	ASSERT_EQ(0, attach(&self->dev, self->ioas));
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(&self->dev, HIGH + LEN, HIGH, MEM(0) + LEN, 1);
}

/* ------------------------------------------------------------------ */
/* Two devices of a group */

/* The other device of the group of a device. */
static bool find_sibling(const char *bdf, char *name, size_t len)
{
	char path[PATH_MAX];
	struct dirent *d;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), PCI "/devices/%s/iommu_group/devices",
		 bdf);
	dir = opendir(path);
	while (dir && (d = readdir(dir)))
		if (strcmp(d->d_name, bdf) && spapr_is_edu(d->d_name)) {
			snprintf(name, len, "%.*s", (int)len - 1, d->d_name);
			found = true;
		}
	if (dir)
		closedir(dir);
	return found;
}

#define NEED_SIBLING(statement, name) do {				\
	if (!find_sibling(spapr_bdf(0), name, sizeof(name)))		\
		SKIP(statement, "needs two edu devices in a group");	\
} while (0)

static int unplug_attached(struct _test_data_unplug *self)
{
	struct unplugging u;
	int ret;

	ret = ask_by(&self->dev, self->asked);
	if (!ret)
		ret = begin_to_unplug(&u, spapr_bdf(0), remove_it);
	if (ret)
		return ret;
	wait_until_asked(self->asked);
	edu_close(&self->dev.edu);
	return end_of_unplug(&u);
}

/* It was attached first: it is the one that the domain knows of the group. */
TEST_F(unplug, a_device_goes_and_its_sibling_stays)
{
	char sibling[SPAPR_BDF_LEN];
	struct device other;
	struct spapr s;
	int msi;

	NEED_SIBLING(return, sibling);
	ASSERT_EQ(0, open_device(&other, sibling, self->fd));
	ASSERT_EQ(0, attach(&other, self->hwpt));
	ASSERT_EQ(0, unplug_attached(self));

	/* the 64-bit window is made without it */
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, HIGH, MEM(1), CHUNK));
	fill(MEM(0), LEN, 1);
	EXPECT_COPIED(&other, HIGH, LOW, MEM(1), 1);

	ASSERT_EQ(0, plug_in(spapr_bdf(0)));
	ASSERT_EQ(0, open_device(&self->dev, spapr_bdf(0), self->fd));
	ASSERT_EQ(0, attach(&self->dev, self->hwpt));
	fill(MEM(0), LEN, 2);
	EXPECT_COPIED(&self->dev, HIGH, LOW, MEM(1), 2);

	/* the group is detached and attached, by the new device */
	ASSERT_EQ(0, detach(&other));
	edu_close(&other.edu);
	fill(MEM(0), LEN, 3);
	EXPECT_COPIED(&self->dev, HIGH, LOW, MEM(1), 3);
	ASSERT_EQ(0, detach(&self->dev));
	EXPECT_NOT_WRITTEN(&self->dev, LOW, MEM(0));
	ASSERT_EQ(0, attach(&self->dev, self->hwpt));
	fill(MEM(0), LEN, 4);
	EXPECT_COPIED(&self->dev, HIGH, LOW, MEM(1), 4);

	/* nothing of the old one is left that the new one would miss */
	msi = eventfd(0, EFD_CLOEXEC);
	ASSERT_GE(msi, 0);
	EXPECT_EQ(0,
		  set_eventfd(self->dev.edu.fd, VFIO_PCI_MSI_IRQ_INDEX, msi));
	edu_close(&self->dev.edu);
	spapr_open(&s, VFIO_SPAPR_TCE_v2_IOMMU, 1);
	spapr_close(&s);
}

TEST_HARNESS_MAIN
