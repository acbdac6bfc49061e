// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of the test guest.
 *
 * It prepares the machine (file systems, modules, huge pages, the devices under
 * test), runs the test programs and reports to the host on a virtio-serial port
 * named "report". The console carries the kernel's messages only; nothing of
 * the verdict depends on it.
 *
 * The kernel passes "name=value" of its command line that it does not know
 * itself to PID 1 as environment, and so to the test programs:
 *
 *	harness_mode=test|shell	what to do
 *	harness_tests=a,b/case	globs of programs to run, and one case of each
 *	harness_timeout=300	seconds that one program may take
 *	harness_hugepages=16M:8	pages to reserve of each size
 *	harness_modules=a,b	modules to load
 *	harness_kunit=a,b	KUnit suites that must have run
 *
 * The report is the output of the programs, which is TAP, and between it lines
 * that begin with "@":
 *
 *	@hello KERNEL		PID 1 is up
 *	@begin PROGRAM
 *	@end PROGRAM exit N | signal N | timeout SECONDS | stuck SECONDS
 *	@done			every program was run; power off follows
 *
 * The checks of PID 1 itself are reported as programs named init:*, and the
 * suites that KUnit ran inside the kernel, before PID 1, as programs named
 * kunit:*.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PCI		"/sys/bus/pci/devices"
#define KUNIT		"/sys/kernel/debug/kunit"
#define EDU		"1234:11e8"
#define PCI_BRIDGE	0x0604
#define MAX_GROUPS	8

static int report_fd = -1;
static int checks;

/* ---- small helpers ---------------------------------------------------- */

static void report(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (len >= (int)sizeof(line))
		len = sizeof(line) - 1;
	if (report_fd < 0 || write(report_fd, line, len) != len)
		(void)!write(STDOUT_FILENO, line, len);
}

/* A mark in the kernel's log: between which tests did it say something? */
static void mark(const char *what, const char *name)
{
	FILE *f = fopen("/dev/kmsg", "w");

	if (!f)
		return;
	fprintf(f, "<5>harness: %s %s\n", what, name);
	fclose(f);
}

static void report_begin(const char *name)
{
	mark("begin", name);
	report("@begin %s\n", name);
	checks = 0;
}

static bool check(bool good, const char *name)
{
	report("%sok %d %s\n", good ? "" : "not ", ++checks, name);
	return good;
}

/* The plan may follow the results. */
static void end(const char *name)
{
	report("1..%d\n@end %s exit 0\n", checks, name);
}

static const char *env(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

static int write_file(const char *path, const char *text)
{
	ssize_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != len)
		err = -errno;
	close(fd);
	return err;
}

/* The first line of a file; an empty one if there is none. */
static const char *read_line(const char *path)
{
	static char line[4096];
	FILE *f = fopen(path, "r");

	line[0] = '\0';
	if (f) {
		if (fgets(line, sizeof(line), f))
			line[strcspn(line, "\n")] = '\0';
		fclose(f);
	}
	return line;
}

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* ---- the machine ------------------------------------------------------ */

static void mount_all(void)
{
	static const struct {
		const char *type, *at;
	} list[] = {
		{ "devtmpfs", "/dev" },
		{ "proc", "/proc" },
		{ "sysfs", "/sys" },
		{ "debugfs", "/sys/kernel/debug" },
		{ "tracefs", "/sys/kernel/tracing" },
		{ "tmpfs", "/tmp" },
		{ "tmpfs", "/run" },
		{ "devpts", "/dev/pts" },
		{ "tmpfs", "/dev/shm" },
		{ "hugetlbfs", "/dev/hugepages" },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		mkdir(list[i].at, 0755);
		if (mount(list[i].type, list[i].at, list[i].type, 0, NULL))
			printf("init: mount %s: %m\n", list[i].at);
	}
}

/* The host creates the port; the driver may need a moment to find it. */
static bool open_report(void)
{
	char path[PATH_MAX];

	for (int tries = 0; tries < 100; tries++) {
		DIR *dir = opendir("/sys/class/virtio-ports");
		struct dirent *d;

		while (dir && (d = readdir(dir))) {
			snprintf(path, sizeof(path),
				 "/sys/class/virtio-ports/%s/name", d->d_name);
			if (strcmp(read_line(path), "report"))
				continue;
			snprintf(path, sizeof(path), "/dev/%s", d->d_name);
			report_fd = open(path, O_WRONLY | O_CLOEXEC);
		}
		if (dir)
			closedir(dir);
		if (report_fd >= 0)
			return true;
		usleep(100000);
	}
	printf("init: no virtio port is named \"report\"\n");
	return false;
}

/*
 * "16M:8,2M:64": sizes that this machine does not have are reported, no error.
 */
static void reserve_hugepages(char *list)
{
	for (char *one = strtok(list, ","); one; one = strtok(NULL, ",")) {
		char unit = 0, path[PATH_MAX], count[32];
		unsigned long size, want;

		if (sscanf(one, "%lu%c:%lu", &size, &unit, &want) != 3)
			continue;
		size <<= unit == 'G' ? 20 : unit == 'M' ? 10 : 0;
		snprintf(path, sizeof(path),
			 "/sys/kernel/mm/hugepages/hugepages-%lukB/nr_hugepages",
			 size);
		snprintf(count, sizeof(count), "%lu", want);
		if (write_file(path, count))
			report("# huge pages of %lu kB: this machine has none\n",
			       size);
		else
			report("# huge pages of %lu kB: %s of %lu\n", size,
			       read_line(path), want);
	}
}

/* ---- modules ---------------------------------------------------------- */

/* vfio-pci and vfio_pci are one module. */
static bool same_module(const char *path, size_t len, const char *name)
{
	const char *base = path;

	for (size_t i = 0; i < len; i++)
		if (path[i] == '/')
			base = path + i + 1;
	len -= base - path;
	if (len != strlen(name) + 3 || strncmp(base + len - 3, ".ko", 3))
		return false;
	for (size_t i = 0; i < len - 3; i++)
		if (base[i] != name[i] && !(strchr("-_", base[i]) &&
					    strchr("-_", name[i])))
			return false;
	return true;
}

static int insert(const char *dir, const char *file)
{
	char path[PATH_MAX];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
		err = -errno;
	close(fd);
	return err;
}

/*
 * A line of modules.dep is "module: needed needed"; the last is needed first.
 */
static int insert_line(const char *dir, char *line)
{
	char *colon = strchr(line, ':'), *space;
	int err;

	*colon++ = '\0';
	colon[strcspn(colon, "\n")] = '\0';
	while ((space = strrchr(colon, ' '))) {
		*space = '\0';
		err = insert(dir, space + 1);
		if (err)
			return err;
	}
	return insert(dir, line);
}

static int load_module(const char *name)
{
	char dir[PATH_MAX], path[PATH_MAX + 16], line[4096];
	int err = -ENOENT;
	struct utsname uts;
	FILE *f;

	uname(&uts);
	snprintf(dir, sizeof(dir), "/lib/modules/%s", uts.release);
	snprintf(path, sizeof(path), "%s/modules.dep", dir);
	f = fopen(path, "r");
	if (!f)
		return -errno;
	while (err == -ENOENT && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');

		if (colon && same_module(line, colon - line, name))
			err = insert_line(dir, line);
	}
	fclose(f);
	return err;
}

static void load_modules(char *list)
{
	char text[256];

	report_begin("init:modules");
	for (char *one = strtok(list, ","); one; one = strtok(NULL, ",")) {
		int err = load_module(one);

		/* The module linked; it wants hardware that is not here. */
		if (err == -ENODEV || err == -EIO) {
			report("ok %d load %s # SKIP not on this machine: %s\n",
			       ++checks, one, strerror(-err));
			continue;
		}
		snprintf(text, sizeof(text), "load %s%s%s", one,
			 err ? ": " : "", err ? strerror(-err) : "");
		check(!err, text);
	}
	end("init:modules");
}

/* ---- the devices under test ------------------------------------------- */

static unsigned long pci_hex(const char *bdf, const char *what)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI "/%s/%s", bdf, what);
	return strtoul(read_line(path), NULL, 16);
}

/* edu of QEMU, if the machine does not name another device. */
static bool is_tested(const char *bdf)
{
	char id[32];

	snprintf(id, sizeof(id), "%04lx:%04lx", pci_hex(bdf, "vendor"),
		 pci_hex(bdf, "device"));
	return !strcmp(id, env("harness_device", EDU));
}

static bool bind_vfio(const char *bdf)
{
	char path[PATH_MAX], driver[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), PCI "/%s/driver_override", bdf);
	write_file(path, "vfio-pci");
	snprintf(path, sizeof(path), PCI "/%s/driver/unbind", bdf);
	write_file(path, bdf);
	write_file("/sys/bus/pci/drivers_probe", bdf);
	snprintf(path, sizeof(path), PCI "/%s/driver", bdf);
	len = readlink(path, driver, sizeof(driver) - 1);
	if (len < 0)
		return false;
	driver[len] = '\0';
	return strstr(driver, "/vfio-pci");
}

/*
 * All of a group must be out of the hands of other drivers, bridges excepted.
 */
static bool bind_group(const char *bdf)
{
	char path[PATH_MAX];
	struct dirent *d;
	bool good = true;
	DIR *dir;

	snprintf(path, sizeof(path), PCI "/%s/iommu_group/devices", bdf);
	dir = opendir(path);
	if (!dir)
		return false;
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.' &&
		    pci_hex(d->d_name, "class") >> 8 != PCI_BRIDGE)
			good &= bind_vfio(d->d_name);
	closedir(dir);
	return good;
}

static int group_of(const char *bdf)
{
	char path[PATH_MAX], group[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), PCI "/%s/iommu_group", bdf);
	len = readlink(path, group, sizeof(group) - 1);
	if (len < 0)
		return -1;
	group[len] = '\0';
	return atoi(strrchr(group, '/') + 1);
}

/*
 * Bind one device under test of each group and name them in VFIO_BDF; the first
 * is that of upstream's tests.
 */
static int bind_devices(void)
{
	int groups[MAX_GROUPS], n = 0;
	char bdfs[MAX_GROUPS * 16] = "", text[256];
	struct dirent **list;
	int found = scandir(PCI, &list, NULL, alphasort);

	for (int i = 0; i < found; i++) {
		const char *bdf = list[i]->d_name;
		bool known = false, good;
		int group;

		if (bdf[0] == '.' || !is_tested(bdf) || n == MAX_GROUPS)
			continue;
		group = group_of(bdf);
		for (int g = 0; g < n; g++)
			known |= groups[g] == group;
		if (known)
			continue;
		good = group >= 0 && bind_group(bdf);
		snprintf(text, sizeof(text),
			 "device %s of IOMMU group %d is bound to vfio-pci", bdf,
			 group);
		if (!check(good, text))
			continue;
		groups[n++] = group;
		if (*bdfs)
			strcat(bdfs, " ");
		else
			setenv("VFIO_SELFTESTS_BDF", bdf, 1);
		strcat(bdfs, bdf);
	}
	setenv("VFIO_BDF", bdfs, 1);
	return n;
}

/* A folder that is not in memory, as far as the kernel knows. */
static void make_disk(void)
{
	int status = -1;
	pid_t pid;

	report_begin("init:disk");
	pid = fork();
	if (!pid) {
		(void)!freopen("/dev/null", "w", stdout);
		execl("/bin/busybox", "mke2fs", "-F", "/dev/ram0", NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	check(!status, "a file system is made in /dev/ram0");
	mkdir("/disk", 0755);
	check(!mount("/dev/ram0", "/disk", "ext4", 0, NULL), "and mounted");
	setenv("VFIO_TEST_DIR", "/disk", 1);
	end("init:disk");
}

static void set_up(void)
{
	char *hugepages = strdup(env("harness_hugepages", ""));
	int want = atoi(env("harness_groups", "2")), have;
	char text[64];

	report_begin("init:machine");
	reserve_hugepages(hugepages);
	have = bind_devices();
	snprintf(text, sizeof(text), "%d of %d IOMMU groups have a device",
		 have, want);
	check(have >= want, text);
	end("init:machine");
}

/* ---- programs --------------------------------------------------------- */

/* kselftest's own time limit of a collection, if longer than ours. */
static long time_limit(const char *dir)
{
	long limit = atol(env("harness_timeout", "300")), own;
	char path[PATH_MAX], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/settings", dir);
	f = fopen(path, "r");
	if (!f)
		return limit;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "timeout=%ld", &own) == 1 && own > limit)
			limit = own;
	fclose(f);
	return limit;
}

static pid_t start(const char *dir, const char *name, const char *arg, int out)
{
	char path[PATH_MAX];
	pid_t pid = fork();

	if (pid)
		return pid;
	setsid();
	snprintf(path, sizeof(path), "./%s", name);
	if (chdir(dir))
		_exit(126);
	close(STDIN_FILENO);
	open("/dev/null", O_RDONLY);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	if (arg)
		execl(path, path, "-t", arg, NULL);
	else
		execl(path, path, NULL);
	printf("Bail out! %s: %m\n", path);
	fflush(stdout);
	_exit(127);
}

/*
 * Pass on what the program wrote; @more: wait for it, up to a quarter second.
 */
static void forward(int in, bool more, bool *line_open)
{
	struct pollfd p = { .fd = in, .events = POLLIN };
	char buf[4096];
	ssize_t len;

	while (poll(&p, 1, more ? 250 : 0) == 1 && p.revents & POLLIN) {
		len = read(in, buf, sizeof(buf));
		if (len <= 0)
			return;
		if (write(report_fd, buf, len) != len)
			return;
		*line_open = buf[len - 1] != '\n';
		if (more)
			return;
	}
	/* The other end is closed: poll() returns immediately, so wait here. */
	if (more && p.revents & POLLHUP)
		usleep(50000);
}

/* Has @pid ended? Other orphans are reaped on the way. */
static bool reap(pid_t pid, int *status)
{
	pid_t got;
	int st;

	while ((got = waitpid(-1, &st, WNOHANG)) > 0) {
		if (got == pid) {
			*status = st;
			return true;
		}
	}
	return false;
}

/*
 * Seconds since the last look, which was a moment ago: more than one is a clock
 * that was set. An emulated POWER8 host runs ahead when a guest of it has
 * another timebase and the machine is busy.
 */
static long passed(long *last)
{
	long t = now(), s = t - *last;

	*last = t;
	return s > 1 ? 1 : s < 0 ? 0 : s;
}

static void run_program(const char *dir, const char *name, const char *arg,
			const char *title)
{
	long limit = time_limit(dir), left = limit, last = now();
	bool over, killed = false, line_open = false;
	int fds[2], status = 0;
	pid_t pid;

	report_begin(title);
	if (pipe2(fds, O_CLOEXEC))
		return;
	pid = start(dir, name, arg, fds[1]);
	close(fds[1]);
	while (!(over = reap(pid, &status))) {
		forward(fds[0], true, &line_open);
		left -= passed(&last);
		if (left > 0)
			continue;
		if (killed)
			break;
		write_file("/proc/sysrq-trigger", "w");
		kill(-pid, SIGKILL);
		killed = true;
		left = 30;
	}
	forward(fds[0], false, &line_open);
	close(fds[0]);
	kill(-pid, SIGKILL);
	if (line_open)
		report("\n");
	if (!over)
		report("@end %s stuck %ld\n", title, limit);
	else if (killed)
		report("@end %s timeout %ld\n", title, limit);
	else if (WIFSIGNALED(status))
		report("@end %s signal %d\n", title, WTERMSIG(status));
	else
		report("@end %s exit %d\n", title, WEXITSTATUS(status));
	mark("end", title);
}

/*
 * Is the program wanted? *@arg becomes the one case of it that is asked for.
 * A program that the list of tests does not have (@listed) must be named.
 */
static bool wanted(const char *title, const char *name, bool listed,
		   const char **arg)
{
	static char patterns[1024];

	*arg = NULL;
	snprintf(patterns, sizeof(patterns), "%s", env("harness_tests", ""));
	if (!patterns[0])
		return listed;
	for (char *p = strtok(patterns, ","); p; p = strtok(NULL, ",")) {
		char *slash = strchr(p, '/');

		if (slash)
			*slash++ = '\0';
		if (!listed && strcmp(p, title) && strcmp(p, name))
			continue;
		if (!fnmatch(p, title, 0) || !fnmatch(p, name, 0)) {
			*arg = slash;
			return true;
		}
	}
	return false;
}

/*
 * A line of the list is "collection:program", as kselftest writes it. Returns
 * how many of them were run.
 */
static int run_list(const char *path, bool listed)
{
	char line[256], dir[PATH_MAX], title[256];
	FILE *f = fopen(path, "r");
	int n = 0;

	while (f && fgets(line, sizeof(line), f)) {
		const char *arg;
		char *name;

		line[strcspn(line, "\n")] = '\0';
		strcpy(title, line);
		name = strchr(line, ':');
		if (!name)
			continue;
		*name++ = '\0';
		if (!wanted(title, name, listed, &arg))
			continue;
		snprintf(dir, sizeof(dir), "/tests/%s", line);
		run_program(dir, name, arg, title);
		n++;
	}
	if (f)
		fclose(f);
	return n;
}

static void forward_suite(const char *suite)
{
	char title[256], path[PATH_MAX], buf[4096];
	ssize_t len;
	int fd;

	snprintf(title, sizeof(title), "kunit:%s", suite);
	snprintf(path, sizeof(path), KUNIT "/%s/results", suite);
	report_begin(title);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		check(false, "the kernel ran this suite");
		end(title);
		return;
	}
	while ((len = read(fd, buf, sizeof(buf))) > 0)
		if (write(report_fd, buf, len) != len)
			break;
	close(fd);
	report("@end %s exit 0\n", title);
}

/* All suites that ran, and those that should have. Returns how many. */
static int forward_suites(void)
{
	char *list = strdup(env("harness_kunit", "")), path[PATH_MAX];
	struct dirent **dirs;
	int found, n = 0;

	found = scandir(KUNIT, &dirs, NULL, alphasort);
	for (int i = 0; i < found; i++) {
		if (dirs[i]->d_name[0] == '.')
			continue;
		forward_suite(dirs[i]->d_name);
		n++;
	}
	for (char *one = strtok(list, ","); one; one = strtok(NULL, ",")) {
		snprintf(path, sizeof(path), KUNIT "/%s", one);
		if (!access(path, F_OK))
			continue;
		forward_suite(one);
		n++;
	}
	return n;
}

static void run_programs(void)
{
	int n = forward_suites() +
		run_list("/tests/kselftest-list.txt", true) +
		run_list("/tests/extra-list.txt", false);
	char text[256];

	if (n)
		return;
	report_begin("init:programs");
	snprintf(text, sizeof(text), "there is a test program %s",
		 env("harness_tests", "at all"));
	check(false, text);
	end("init:programs");
}

/* ---- at the end ------------------------------------------------------- */

static unsigned long vmstat(const char *name)
{
	unsigned long value, found = ULONG_MAX;
	char key[128];
	FILE *f = fopen("/proc/vmstat", "r");

	while (f && fscanf(f, "%127s %lu", key, &value) == 2)
		if (!strcmp(key, name))
			found = value;
	if (f)
		fclose(f);
	return found;
}

/* Every page that was pinned must be unpinned when all programs are gone. */
static void check_pins(void)
{
	unsigned long pinned = 0, unpinned = 0;
	char text[128];

	report_begin("init:pins");
	for (int tries = 0; tries < 50; tries++) {
		/* Folds what each CPU counted for itself. */
		write_file("/proc/sys/vm/stat_refresh", "1");
		pinned = vmstat("nr_foll_pin_acquired");
		unpinned = vmstat("nr_foll_pin_released");
		if (pinned == unpinned)
			break;
		usleep(100000);
	}
	snprintf(text, sizeof(text),
		 "every page is unpinned: acquired %lu, released %lu", pinned,
		 unpinned);
	check(pinned == unpinned, text);
	end("init:pins");
}

/* ---- a prompt --------------------------------------------------------- */

/* poweroff, halt and reboot of busybox are signals to PID 1. */
static void on_signal(int sig)
{
	(void)sig;
	power_off();
}

static void shell(void)
{
	pid_t pid;
	int status, fd;

	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	signal(SIGTERM, on_signal);
	pid = fork();
	if (!pid) {
		setsid();
		fd = open("/dev/hvc0", O_RDWR);
		if (fd < 0)
			fd = open("/dev/console", O_RDWR);
		ioctl(fd, TIOCSCTTY, 1);
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		if (chdir("/root"))
			printf("init: /root: %m\n");
		printf("\nThe devices under test: VFIO_BDF=\"%s\"\n"
		       "The test programs are in the PATH: see /tests\n"
		       "To leave: poweroff, or Ctrl-A X\n\n",
		       getenv("VFIO_BDF"));
		fflush(stdout);
		execl("/bin/busybox", "sh", NULL);
		_exit(127);
	}
	while (!reap(pid, &status))
		usleep(100000);
}

int main(void)
{
	char *modules;
	struct utsname uts;
	const char *mode;

	mount_all();
	setvbuf(stdout, NULL, _IOLBF, 0);
	mode = env("harness_mode", "test");
	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin:/tests/vfio", 1);
	setenv("HOME", "/root", 1);
	setenv("PS1", "guest# ", 1);
	if (!open_report() && !strcmp(mode, "test"))
		power_off();
	uname(&uts);
	report("@hello %s %s\n", uts.release, uts.version);
	if (!fork()) {
		execl("/bin/busybox", "busybox", "--install", "-s", NULL);
		_exit(127);
	}
	wait(NULL);
	modules = strdup(env("harness_modules", ""));
	if (*modules)
		load_modules(modules);
	set_up();
	make_disk();
	if (!strcmp(mode, "shell")) {
		shell();
	} else {
		run_programs();
		check_pins();
	}
	report("@done\n");
	power_off();
}
