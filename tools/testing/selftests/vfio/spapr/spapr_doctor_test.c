// SPDX-License-Identifier: GPL-2.0-only
/*
 * spapr_doctor: is correct for this machine, changes nothing, knows all causes
 * of refusals, and computes exactly the locked memory that a guest needs.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "spapr_test.h"

#define V1		VFIO_SPAPR_TCE_IOMMU
#define V2		VFIO_SPAPR_TCE_v2_IOMMU
#define TEXT		(64 * KIB)
#define MAX_ARGS	8
#define NOBODY		65534
#define MEMORY		(72 * MIB)
#define MEMORY_TEXT	"72M"
#define DRIVER		"/sys/bus/pci/drivers/vfio-pci/"
#define DEVICES		"/sys/bus/pci/devices/"
#define BDF_LEN		12

static const char * const causes[] = {
#include "spapr_causes.h"
};

/* ------------------------------------------------------------------ */
/* Running spapr_doctor */

static char text[TEXT];

static void become_nobody(void)
{
	if (setgid(NOBODY) || setuid(NOBODY))
		_exit(99);
}

static void exec_doctor(char **argv)
{
	char self[PATH_MAX] = "", path[PATH_MAX];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		_exit(98);
	snprintf(path, sizeof(path), "%s/spapr_doctor", dirname(self));
	execv(path, argv);
	_exit(97);
}

/*
 * Returns its exit status, with the output in @text. The arguments end with
 * NULL.
 */
static int doctor(bool nobody, ...)
{
	char *argv[MAX_ARGS + 2] = { "spapr_doctor" };
	int pipes[2], status = -1, i = 0;
	size_t len = 0;
	ssize_t got;
	va_list ap;
	pid_t pid;

	va_start(ap, nobody);
	do
		argv[++i] = va_arg(ap, char *);
	while (argv[i] && i < MAX_ARGS);
	va_end(ap);

	if (pipe(pipes))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(pipes[1], STDOUT_FILENO);
		dup2(pipes[1], STDERR_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		if (nobody)
			become_nobody();
		exec_doctor(argv);
	}
	close(pipes[1]);
	while ((got = read(pipes[0], text + len, TEXT - 1 - len)) > 0)
		len += got;
	text[len] = '\0';
	close(pipes[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

#define EXPECT_DOCTOR(status, ...) do {					\
	int __is = doctor(false, ##__VA_ARGS__, NULL);			\
									\
	EXPECT_EQ(status, __is) {					\
		TH_LOG("it says:\n%s", text);				\
	}								\
} while (0)

static bool says(const char *words)
{
	if (strstr(text, words))
		return true;
	ksft_print_msg("no \"%s\" in:\n%s", words, text);
	return false;
}

#define bdf(n)	((char *)spapr_bdf(n))

/* ------------------------------------------------------------------ */

FIXTURE(doctor)
{
	struct vfio_iommu_spapr_tce_info info;
	struct spapr_account base;
	int version;
};

FIXTURE_SETUP(doctor)
{
	struct spapr s;

	NEED_DEVICES(return, 1);
	NOT_ON_STOCK(return);
	self->version = 2;
	if (__spapr_open(&s, V2, 1)) {
		self->version = 1;
		spapr_open(&s, V1, 1);
	}
	spapr_info(s.fd, &self->info);
	spapr_close(&s);
	spapr_account(&self->base);
}

FIXTURE_TEARDOWN(doctor)
{
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(doctor, bad_usage_is_2_and_help_is_0)
{
	EXPECT_DOCTOR(0, "--help");
	EXPECT_TRUE(says("usage:"));
	EXPECT_DOCTOR(2, "--no-such-option");
	EXPECT_TRUE(says("usage:"));
	EXPECT_DOCTOR(2, "--memory", "12Q");
	EXPECT_DOCTOR(2, "--memory", "-1G");
	EXPECT_DOCTOR(2, "--memory", "0");
	EXPECT_DOCTOR(2, "--bridges", "0");
	EXPECT_DOCTOR(2, "--memory");
	EXPECT_DOCTOR(2, "--max-memory", "0");
	EXPECT_DOCTOR(2, "--memory", "2G", "--max-memory", "1G");
	EXPECT_DOCTOR(2, "0000:00:00.0-is-too-long");
	EXPECT_DOCTOR(2, "--refused", "1", bdf(0));
}

TEST_F(doctor, a_device_that_can_be_passed_is_0)
{
	const struct vfio_iommu_spapr_tce_info *info = &self->info;
	char words[64];

	EXPECT_DOCTOR(0, bdf(0));
	EXPECT_TRUE(says("is bound to vfio-pci"));
	EXPECT_TRUE(says(self->version == 2 ? "version 2" :
					      "version 1 only"));
	EXPECT_TRUE(says("can be passed to a guest"));
	snprintf(words, sizeof(words), "default window: %uM at bus address %#x",
		 info->dma32_window_size >> 20, info->dma32_window_start);
	if (info->dma32_window_size % GIB)
		EXPECT_TRUE(says(words));
	if (self->version == 2) {
		snprintf(words, sizeof(words), "%u window",
			 info->ddw.max_dynamic_windows_supported);
		EXPECT_TRUE(says(words));
		snprintf(words, sizeof(words), "level%s",
			 info->ddw.levels > 1 ? "s" : ", of the hypervisor");
		EXPECT_TRUE(says(words));
		EXPECT_TRUE(says("IOMMU pages of 4K"));
		if (info->ddw.pgsizes & (1 << 24))
			EXPECT_TRUE(says(" 16M"));
	}
	/* all bound devices, without names */
	EXPECT_DOCTOR(0);
	EXPECT_TRUE(says(spapr_bdf(0)));
}

TEST_F(doctor, nothing_stays_behind)
{
	struct spapr s;

	EXPECT_DOCTOR(0, bdf(0));
	spapr_open(&s, self->version == 2 ? V2 : V1, 1);
	spapr_close(&s);
	EXPECT_ACCOUNT(&self->base, 0, 0);
}

TEST_F(doctor, a_device_that_is_not_there_is_said)
{
	EXPECT_DOCTOR(1, "0fff:1f:1f.7");
	EXPECT_TRUE(says("no PCI device 0fff:1f:1f.7"));
}

TEST_F(doctor, a_device_without_driver_is_said_with_the_command)
{
	char command[128];

	ASSERT_EQ(0, spapr_write(DRIVER "unbind", bdf(0)));
	EXPECT_DOCTOR(1, bdf(0));
	EXPECT_TRUE(says("no driver, not vfio-pci"));
	snprintf(command, sizeof(command),
		 "echo %s > /sys/bus/pci/drivers_probe", spapr_bdf(0));
	EXPECT_TRUE(says(command));
	/* the remedy works */
	ASSERT_EQ(0, spapr_write("/sys/bus/pci/drivers_probe", bdf(0)));
	EXPECT_DOCTOR(0, bdf(0));
}

TEST_F(doctor, a_group_in_use_is_said_with_the_process)
{
	char words[64];
	struct spapr s;

	spapr_open(&s, self->version == 2 ? V2 : V1, 1);
	EXPECT_DOCTOR(1, bdf(0));
	snprintf(words, sizeof(words), "in use by process %d\n", getpid());
	EXPECT_TRUE(says(words));
	spapr_close(&s);
	EXPECT_DOCTOR(0, bdf(0));
}

TEST_F(doctor, a_user_without_permission_is_reported)
{
	EXPECT_EQ(1, doctor(true, bdf(0), NULL));
	EXPECT_TRUE(says("cannot be opened by user 65534"));
	EXPECT_TRUE(says("do: ch"));
}

/* ------------------------------------------------------------------ */
/* Disks of the host */

static bool is_disk(const char *name)
{
	char path[PATH_MAX], link[PATH_MAX] = "";

	snprintf(path, sizeof(path), DEVICES "%s/driver", name);
	return strlen(name) == BDF_LEN &&
	       readlink(path, link, sizeof(link) - 1) > 0 &&
	       !strcmp(basename(link), "nvme");
}

/* Finds two disks of one group; false if there are none. */
static bool find_disks(char disks[2][BDF_LEN + 1])
{
	char path[PATH_MAX];
	struct dirent **all, *d;
	int n = scandir(DEVICES, &all, NULL, alphasort), i, found = 0;
	DIR *group;

	for (i = 0; i < n; i++) {
		if (found < 2 && is_disk(all[i]->d_name)) {
			found = 0;
			snprintf(path, sizeof(path),
				 DEVICES "%s/iommu_group/devices",
				 all[i]->d_name);
			group = opendir(path);
			while (group && found < 2 && (d = readdir(group)))
				if (is_disk(d->d_name))
					memcpy(disks[found++], d->d_name,
					       BDF_LEN + 1);
			if (group)
				closedir(group);
		}
		free(all[i]);
	}
	if (n >= 0)
		free(all);
	return found == 2;
}

/*
 * Executes the remedies in @text, as an administrator would: echo WORD > FILE.
 */
static int do_as_advised(void)
{
	char word[64], file[PATH_MAX], *at = text;
	int ret = 0;

	while (!ret && (at = strstr(at, "echo "))) {
		if (sscanf(at, "echo %63s > %4095[^;,\n ]", word, file) != 2 ||
		    strncmp(file, "/sys/bus/pci/", 13))
			return -EINVAL;
		ret = spapr_write(file, word);
		at += strlen("echo ");
	}
	return ret;
}

static int return_disk(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DEVICES "%s/driver/unbind", name);
	spapr_write(path, name);
	snprintf(path, sizeof(path), DEVICES "%s/driver_override", name);
	spapr_write(path, "\n");
	spapr_write("/sys/bus/pci/drivers_probe", name);
	return is_disk(name) ? 0 : -ENODEV;
}

TEST(a_disk_that_the_host_uses_is_freed_by_the_commands)
{
	char disks[2][BDF_LEN + 1], words[128];

	if (geteuid() || !find_disks(disks))
		SKIP(return,
		     "needs root and two NVMe disks in one IOMMU group");
	EXPECT_DOCTOR(1, disks[0]);
	EXPECT_TRUE(says("driver nvme, not vfio-pci"));
	snprintf(words, sizeof(words), "%s is in it too, with driver nvme",
		 disks[1]);
	EXPECT_TRUE(says(words));
	EXPECT_EQ(0, do_as_advised());
	EXPECT_DOCTOR(0, disks[0]);
	snprintf(words, sizeof(words), "%s goes with it", disks[1]);
	EXPECT_TRUE(says(words));
	EXPECT_EQ(0, return_disk(disks[0]));
	EXPECT_EQ(0, return_disk(disks[1]));
}

/* ------------------------------------------------------------------ */
/* Locked memory */

static int give_up_ipc_lock(size_t limit)
{
	struct rlimit r = { .rlim_cur = limit, .rlim_max = limit };
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (setrlimit(RLIMIT_MEMLOCK, &r) ||
	    syscall(SYS_capget, &header, data))
		return -errno;
	data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &=
		~CAP_TO_MASK(CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/* A window as QEMU creates it: a level has up to 256 host pages. */
static int create(int fd, __u32 shift, __u64 window)
{
	__u32 bits = __builtin_ctzll(window >> shift) + 3;
	__u32 each = spapr_page_shift() + 8;
	__u64 at;

	return __spapr_create(fd, shift, window, (bits + each - 1) / each, &at);
}

/* Host bridge of a guest with a device: the calls of QEMU, in its order. */
static int add_bridge_v2(unsigned int n, char *mem, __u64 window,
			 const struct vfio_iommu_spapr_tce_info *info)
{
	struct spapr s;
	int ret;

	ret = __spapr_open_with(&s, V2, n);
	if (!ret)
		ret = __spapr_register(s.fd, mem, MEMORY);
	if (!ret)
		ret = __spapr_remove(s.fd, info->dma32_window_start);
	if (!ret)
		ret = create(s.fd, 12, GIB);
	if (!ret && info->ddw.max_dynamic_windows_supported > 1)
		ret = create(s.fd, iommu_shift(info), window);
	return ret;
}

static int add_bridge_v1(unsigned int n, char *mem,
			 const struct vfio_iommu_spapr_tce_info *info)
{
	struct spapr s;
	int ret;

	ret = __spapr_open_with(&s, V1, n);
	if (!ret)
		ret = __spapr_enable(s.fd);
	if (!ret)
		ret = __spapr_map(s.fd, info->dma32_window_start, mem, MIB,
				  SPAPR_RW);
	return ret;
}

static int kvm_table(int vm, __u64 liobn, __u32 shift, __u64 window)
{
	struct kvm_create_spapr_tce_64 args = {
		.liobn = liobn,
		.page_shift = shift,
		.size = window >> shift,
	};

	return ioctl(vm, KVM_CREATE_SPAPR_TCE_64, &args) < 0 ? -errno : 0;
}

/*
 * The guest's tables in KVM, including its default bridge; 0: no second window.
 */
static int add_kvm_tables(unsigned int bridges, __u64 second)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, ret = 0;
	unsigned int i;

	vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return 0;
	for (i = 0; !ret && i <= bridges; i++) {
		ret = kvm_table(vm, i, 12, GIB);
		if (!ret && second)
			ret = kvm_table(vm, 100 + i, 24, second);
	}
	return ret;
}

/*
 * Sets up all that a guest needs with a 64-bit window of this size, and @limit
 * bytes of locked memory; nothing is closed.
 */
static int run_guest(size_t limit, unsigned int bridges, int version,
		     __u64 window, const struct vfio_iommu_spapr_tce_info *info)
{
	char *mem = spapr_mem(MEMORY);
	unsigned int i;
	int ret;

	ret = mem ? give_up_ipc_lock(limit) : -ENOMEM;
	for (i = 0; !ret && i < bridges; i++)
		ret = version == 2 ? add_bridge_v2(i, mem, window, info) :
				     add_bridge_v1(i, mem, info);
	if (!ret)
		ret = add_kvm_tables(bridges, version == 2 &&
				     info->ddw.max_dynamic_windows_supported >
				     1 ? window : 0);
	return ret;
}

/* eight guests on a debug kernel */
TEST_F_TIMEOUT(doctor, the_locked_memory_is_enough_and_a_page_less_is_not, 240)
{
	/* hotplugged memory starts at 1 GiB */
	static const struct {
		char *max_memory;
		__u64 window;
	} guests[] = {
		{ MEMORY_TEXT, 128 * MIB },
		{ "584M", 2 * GIB },
	};
	unsigned int bridges, i;
	char number[8];
	size_t limit;
	char *at;

	for (i = 0; i < 2 * ARRAY_SIZE(guests); i++) {
		bridges = i % 2 + 1;
		if (spapr_nr_devices() < bridges)
			continue;
		snprintf(number, sizeof(number), "%u", bridges);
		EXPECT_DOCTOR(0, "--memory", MEMORY_TEXT, "--max-memory",
			      guests[i / 2].max_memory, "--bridges", number,
			      bdf(0));
		at = strstr(text, " locks ");
		ASSERT_NE(NULL, at);
		limit = strtoul(at + strlen(" locks "), NULL, 10) * KIB;
		TH_LOG("%u bridge(s): %zu KiB", bridges, limit / KIB);
		EXPECT_IN_CHILD(!run_guest(limit, bridges, self->version,
					   guests[i / 2].window, &self->info));
		EXPECT_IN_CHILD(run_guest(limit - spapr_page_size(), bridges,
					  self->version, guests[i / 2].window,
					  &self->info) ==
				-ENOMEM);
	}
}

TEST_F(doctor, a_limit_that_is_too_low_is_said_with_the_number)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		/* exec restores the capabilities of root */
		if (give_up_ipc_lock(MIB) ||
		    syscall(SYS_prctl, 24 /* PR_CAPBSET_DROP */, CAP_IPC_LOCK,
			    0, 0, 0))
			_exit(3);
		_exit(doctor(false, bdf(0), NULL) != 1 ||
		      !strstr(text, "this user may lock 1024 KiB") ||
		      !strstr(text, "do: ulimit -l "));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* ------------------------------------------------------------------ */
/* Refusals */

TEST_F(doctor, every_cause_of_the_kernel_is_known)
{
	char path[] = "/tmp/spapr_doctor.XXXXXX", line[256];
	int fd = mkstemp(path);
	unsigned int i;
	FILE *f;

	ASSERT_LE(0, fd);
	ASSERT_LE(27U, ARRAY_SIZE(causes));
	for (i = 0; i < ARRAY_SIZE(causes); i++) {
		f = fopen(path, "w");
		ASSERT_NE(NULL, f);
		snprintf(line, sizeof(line),
			 "spapr_tce_refusal:\tcall=X error=-22 start=0x0 size=0x0 cause=%s%s\n",
			 causes[i], i % 2 ? ": 12" : "");
		fputs(line, f);
		fclose(f);
		EXPECT_DOCTOR(0, "--refused", path);
		EXPECT_TRUE(says(causes[i]));
		EXPECT_TRUE(says("do: "));
	}
	f = fopen(path, "w");
	fputs("spapr_tce_refusal:\tcall=X error=-22 cause=the moon is full\n",
	      f);
	fclose(f);
	EXPECT_DOCTOR(1, "--refused", path);
	EXPECT_TRUE(says("does not know"));
	unlink(path);
	close(fd);
	EXPECT_DOCTOR(1, "--refused", path);
}

TEST_F(doctor, the_refusals_of_a_process_are_explained)
{
	char pid[16];
	struct spapr s;

	snprintf(pid, sizeof(pid), "%d", getpid());
	EXPECT_DOCTOR(0, "--refused", pid);
	EXPECT_TRUE(says("no call was refused"));
	spapr_open(&s, self->version == 2 ? V2 : V1, 1);
	if (self->version == 2) {
		EXPECT_ERRNO(EINVAL, __spapr_register(s.fd, text, 8));
	} else {
		spapr_enable(s.fd);
		EXPECT_ERRNO(ENXIO, __spapr_unmap(s.fd, 1ULL << 40, MIB));
	}
	EXPECT_DOCTOR(0, "--refused", pid);
	EXPECT_TRUE(says(self->version == 2 ? "call=REGISTER error=-22" :
					      "call=UNMAP error=-6"));
	EXPECT_TRUE(says("do: "));
	spapr_close(&s);
}

TEST_HARNESS_MAIN
