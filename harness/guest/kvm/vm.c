// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libspapr.h"
#include "vm.h"

#define DISK		"/dev/vda"
#define CONSOLE		"/tmp/console.log"
#define QEMU_LOG	"/tmp/qemu.log"
#define STATS		"/sys/kernel/debug/kvm"
#define DENY		"/tests/kvm/deny"

/* Capabilities that an emulated POWER can have, nested or not. */
#define MACHINE \
	"pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken," \
	"cap-ccf-assist=off,cap-htm=off"
#define APPEND \
	"console=hvc0 rdinit=/init panic_on_warn=1 kunit.enable=0 " \
	"harness_timeout=3600 harness_tests=kvm:agent"

#define DEBIAN_MODULES	"crc32c_generic,ext4,brd,e1000e,virtio_balloon,nvme"

#define MAX_ARGS	80

static bool crashed;	/* the guest's kernel, on purpose */

static const char * const binds[] = { "proc", "sys", "dev" };

/* ------------------------------------------------------------------ */
/* The disk */

const char *vm_missing(void)
{
	if (access(DISK, F_OK))
		return "a disk with QEMU on it: see harness/machines/*-kvm";
	if (!spapr_nr_devices())
		return "a device: " SPAPR_HOW_TO_BIND;
	return NULL;
}

static bool is_of_class(const char *bdf, const char *class)
{
	char path[PATH_MAX], text[16] = "";
	FILE *f;

	snprintf(path, sizeof(path), VM_PCI "/%s/class", bdf);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return !strncmp(text, class, strlen(class));
}

unsigned int vm_pci(const char *class, char (*bdf)[VM_BDF_LEN],
		    unsigned int max)
{
	struct dirent **list;
	int n = scandir(VM_PCI, &list, NULL, alphasort), i;
	unsigned int nr = 0;

	for (i = 0; i < n; i++)
		if (is_of_class(list[i]->d_name, class) && nr++ < max)
			snprintf(bdf[nr - 1], VM_BDF_LEN, "%s",
				 list[i]->d_name);
	return nr;
}

bool vm_mount(char *why, size_t size)
{
	char from[32], to[PATH_MAX];
	unsigned int i;
	bool ok;

	mkdir(ROOT, 0755);
	ok = !mount(DISK, ROOT, "ext4", MS_RDONLY, NULL) &&
	     !mount("tmpfs", ROOT "/tmp", "tmpfs", 0, NULL);
	for (i = 0; ok && i < sizeof(binds) / sizeof(binds[0]); i++) {
		snprintf(from, sizeof(from), "/%s", binds[i]);
		snprintf(to, sizeof(to), ROOT "/%s", binds[i]);
		ok = !mount(from, to, NULL, MS_BIND, NULL);
	}
	if (!ok)
		snprintf(why, size, "mount of the disk: %s", strerror(errno));
	return ok;
}

void vm_umount(void)
{
	char to[PATH_MAX];
	unsigned int i;

	for (i = 0; i < sizeof(binds) / sizeof(binds[0]); i++) {
		snprintf(to, sizeof(to), ROOT "/%s", binds[i]);
		umount(to);
	}
	umount(ROOT "/tmp");
	umount(ROOT);
}

/* ------------------------------------------------------------------ */
/* QEMU */

static void add(char **args, unsigned int *nr, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add(char **args, unsigned int *nr, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (*nr < MAX_ARGS && vasprintf(&args[*nr], fmt, ap) >= 0)
		++*nr;
	va_end(ap);
}

static void add_port(char **args, unsigned int *nr, const char *name, int fd)
{
	add(args, nr, "-chardev");
	add(args, nr, "socket,id=%s,fd=%d", name, fd);
	add(args, nr, "-device");
	add(args, nr, "virtserialport,chardev=%s,name=%s", name, name);
}

/* Debian's own kernel is to drive the devices it gets. */
static bool is_debian(struct vm *vm)
{
	return vm->disk || vm->card;
}

static const char *device(struct vm *vm, unsigned int i)
{
	if (!is_debian(vm))
		return spapr_bdf(i);
	return !i && vm->disk ? vm->disk : vm->card;
}

/*
 * Each device has a host bridge of its own, so that each is an IOMMU group of
 * the guest, and QEMU registers the guest's memory in a container for each; or
 * they have one for all, which is one container with their groups.
 */
static void add_devices(struct vm *vm, char **args, unsigned int *nr)
{
	unsigned int i, bridge;

	for (i = 0; i < vm->nr_devices; i++) {
		bridge = vm->one_bridge ? 1 : i + 1;
		if (bridge == i + 1) {
			add(args, nr, "-device");
			add(args, nr, "spapr-pci-host-bridge,index=%u,id=phb%u",
			    bridge, bridge);
		}
		add(args, nr, "-device");
		add(args, nr, "vfio-pci,host=%s,bus=phb%u.0,id=dev%u",
		    device(vm, i), bridge, i);
	}
}

/* The kernel is ours, or Debian's. */
static void add_kernel(struct vm *vm, const char *append, char **args,
		       unsigned int *nr)
{
	const char *dir = is_debian(vm) ? "/guest/debian" : "/guest";
	const char *modules = is_debian(vm) ? DEBIAN_MODULES :
			      getenv("harness_modules") ? : "";

	add(args, nr, "-kernel");
	add(args, nr, "%s/vmlinux", dir);
	add(args, nr, "-initrd");
	add(args, nr, "%s/initramfs.cpio.gz", dir);
	add(args, nr, "-append");
	add(args, nr, APPEND " harness_modules=%s harness_groups=%u %s",
	    modules, is_debian(vm) ? 0 : vm->nr_devices, append);
}

/*
 * QEMU 7.2 says that a machine to which no memory can be added has none, and by
 * that Debian's kernel sizes its 64-bit window.
 */
static const char *memory(struct vm *vm)
{
	return is_debian(vm) ? "512M,slots=1,maxmem=1G" : "512M";
}

static char **command(struct vm *vm, const char *append, int qmp, int report,
		      int control)
{
	static const char * const fixed[] = {
		"/usr/bin/qemu-system-ppc64", "-accel", "kvm", "-cpu", "host",
		"-smp", "1", "-nodefaults",
		"-vga", "none", "-display", "none",
		"-chardev", "file,id=console,path=" CONSOLE,
		"-serial", "chardev:console",
		"-mon", "chardev=qmp,mode=control",
		"-device", "virtio-serial-pci",
	};
	char **args = calloc(MAX_ARGS + 1, sizeof(*args));
	unsigned int nr = 0, i;

	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		add(args, &nr, "%s", fixed[i]);
	add(args, &nr, "-M");
	/* more properties may come from the description of the host */
	add(args, &nr, MACHINE ",cap-hpt-max-page-size=%zu%s",
	    spapr_page_size(), getenv("harness_kvm") ? : "");
	add(args, &nr, "-m");
	add(args, &nr, "%s", memory(vm));
	add_kernel(vm, append, args, &nr);
	add(args, &nr, "-chardev");
	add(args, &nr, "socket,id=qmp,fd=%d", qmp);
	add_port(args, &nr, "report", report);
	add_port(args, &nr, "control", control);
	add_devices(vm, args, &nr);
	for (i = 0; vm->more && vm->more[i]; i++)
		add(args, &nr, "%s", vm->more[i]);
	return args;
}

void vm_print_command(struct vm *vm, const char *prefix)
{
	unsigned int i;

	printf("%sqemu-system-ppc64 -accel kvm -m %s", prefix, memory(vm));
	for (i = 0; i < vm->nr_devices; i++)
		printf(" -device vfio-pci,host=%s", device(vm, i));
	putchar('\n');
}

void vm_enter(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (chroot(ROOT) || chdir("/"))
		_exit(126);
}

static void become_qemu(struct vm *vm, char **args)
{
	int log;

	vm_enter();
	log = open(QEMU_LOG, O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	unlink(CONSOLE);	/* of another user, maybe */
	if (vm->become)
		vm->become();
	execv(args[0], args);
	_exit(127);
}

bool vm_start(struct vm *vm, const char *append)
{
	int qmp[2], report[2], control[2];
	unsigned int i;
	char **args;

	if (!vm->nr_devices)
		vm->nr_devices = spapr_nr_devices();
	/* Our ends are closed in QEMU, theirs here. */
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, qmp) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, report) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, control))
		return false;
	fcntl(qmp[0], F_SETFD, FD_CLOEXEC);
	fcntl(report[0], F_SETFD, FD_CLOEXEC);
	fcntl(control[0], F_SETFD, FD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);

	crashed = false;
	args = command(vm, append, qmp[1], report[1], control[1]);
	fflush(stdout);
	vm->pid = fork();
	if (!vm->pid)
		become_qemu(vm, args);
	for (i = 0; args[i]; i++)
		free(args[i]);
	free(args);
	close(qmp[1]);
	close(report[1]);
	close(control[1]);
	vm->qmp = (struct vm_stream){ .fd = qmp[0] };
	vm->report = (struct vm_stream){ .fd = report[0] };
	vm->control = control[0];
	return vm_monitor(vm, "qmp_capabilities", "");
}

/* ------------------------------------------------------------------ */
/* Output of QEMU and of the guest */

static bool fail(struct vm *vm, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static bool fail(struct vm *vm, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(vm->why, sizeof(vm->why), fmt, ap);
	va_end(ap);
	return false;
}

/* The next whole line of what was read; false if there is none. */
bool vm_line(struct vm_stream *s, char *line, size_t size)
{
	char *end = memchr(s->text, '\n', s->len);
	size_t len, room = size - 1;

	if (!end && s->len == sizeof(s->text))
		end = s->text + s->len - 1;
	if (!end)
		return false;
	len = end - s->text;
	memcpy(line, s->text, len < room ? len : room);
	line[len < room ? len : room] = '\0';
	line[strcspn(line, "\r")] = '\0';
	s->len -= len + 1;
	memmove(s->text, end + 1, s->len);
	return true;
}

bool vm_more(struct vm_stream *s)
{
	ssize_t len = read(s->fd, s->text + s->len, sizeof(s->text) - s->len);

	if (len <= 0)
		return false;
	s->len += len;
	return true;
}

static long console_size(void)
{
	struct stat st;

	return stat(ROOT CONSOLE, &st) ? 0 : st.st_size;
}

/*
 * One more piece of @s; input of the other stream is only kept, as it may be
 * asked for later.
 */
static bool wait_more(struct vm *vm, struct vm_stream *s, const char *what)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	long silent = 0, was = console_size(), is;

	/*
	 * counted, because the clock of a POWER8 host may run ahead of the
	 * guest
	 */
	while (!poll(&p, 1, 1000)) {
		if (vm->waiting)
			vm->waiting();
		is = console_size();
		silent = is == was ? silent + 1 : 0;
		was = is;
		if (silent > VM_SILENCE)
			return fail(vm, "%s: nothing was said for %d seconds",
				    what, VM_SILENCE);
	}
	return vm_more(s) || fail(vm, "%s: QEMU has ended", what);
}

/* A panic of the guest, seen from outside, is that it starts again. */
static bool is_bad(struct vm *vm, const char *line, const char *prefix)
{
	const char *bad = "@agent failed: ";

	if (!strncmp(line, bad, strlen(bad)))
		fail(vm, "the guest says: %s", line + strlen(bad));
	else if (!strncmp(line, "@hello", 6) && strcmp(prefix, "@hello"))
		fail(vm, "the guest has started again by itself");
	else
		return false;
	return true;
}

bool vm_hear(struct vm *vm, const char *prefix, char *rest, size_t size)
{
	char line[1024];

	for (;;) {
		while (vm_line(&vm->report, line, sizeof(line))) {
			if (vm->said)
				vm->said(line);
			if (is_bad(vm, line, prefix))
				return false;
			if (strncmp(line, prefix, strlen(prefix)))
				continue;
			if (rest)
				snprintf(rest, size, "%s",
					 line + strlen(prefix));
			return true;
		}
		if (!wait_more(vm, &vm->report, prefix))
			return false;
	}
}

bool vm_say(struct vm *vm, const char *command)
{
	char line[1024];
	int len = snprintf(line, sizeof(line), "%s\n", command);

	return write(vm->control, line, len) == len ||
	       fail(vm, "%s: QEMU does not listen", command);
}

bool vm_tell(struct vm *vm, const char *command, const char *answer, char *rest,
	     size_t size)
{
	char line[1024];

	if (!vm_say(vm, command))
		return false;
	snprintf(line, sizeof(line), "@agent %s", answer);
	return vm_hear(vm, line, rest, size);
}

/*
 * Takes what QMP has said: events are kept until they are asked for, an answer
 * is copied to @line.
 */
static bool take_answer(struct vm *vm, char *line, size_t size)
{
	size_t used = strlen(vm->events);

	while (vm_line(&vm->qmp, line, size)) {
		if (!strstr(line, "\"event\""))
			return true;
		used += snprintf(vm->events + used, sizeof(vm->events) - used,
				 "%s\n", line);
		if (used >= sizeof(vm->events))
			used = sizeof(vm->events) - 1;
	}
	return false;
}

bool vm_monitor(struct vm *vm, const char *command, const char *arguments)
{
	char line[1024];
	int len;

	len = snprintf(line, sizeof(line), "{\"execute\":\"%s\"%s%s}\n",
		       command, *arguments ? ",\"arguments\":" : "", arguments);
	if (write(vm->qmp.fd, line, len) != len)
		return fail(vm, "%s: QEMU does not listen", command);
	for (;;) {
		while (take_answer(vm, line, sizeof(line))) {
			if (strstr(line, "\"return\""))
				return true;
			if (strstr(line, "\"error\""))
				return fail(vm, "%s: %s", command, line);
		}
		if (!wait_more(vm, &vm->qmp, command))
			return false;
	}
}

/* Takes the first event that has both words in it. */
static bool take_event(struct vm *vm, const char *event, const char *word)
{
	char *line = vm->events, *end;
	bool found = false;

	for (; !found && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		found = strstr(line, event) && strstr(line, word);
		*end = '\n';
		if (found)
			memmove(line, end + 1, strlen(end + 1) + 1);
	}
	return found;
}

bool vm_event(struct vm *vm, const char *event, const char *word)
{
	char line[1024];

	while (!take_event(vm, event, word)) {
		if (!wait_more(vm, &vm->qmp, event))
			return false;
		while (take_answer(vm, line, sizeof(line)))
			;
	}
	return true;
}

/* ------------------------------------------------------------------ */
/* Its end */

static void close_streams(struct vm *vm)
{
	close(vm->qmp.fd);
	close(vm->report.fd);
	close(vm->control);
	vm->pid = 0;
}

bool vm_wait(struct vm *vm, int *status)
{
	char line[1024];

	/* The report ends when QEMU does. */
	do {
		while (vm_line(&vm->report, line, sizeof(line)))
			if (vm->said)
				vm->said(line);
		if (!wait_more(vm, &vm->report, "the end of QEMU") &&
		    strstr(vm->why, "nothing was said"))
			return false;
	} while (waitpid(vm->pid, status, WNOHANG) != vm->pid);
	close_streams(vm);
	return true;
}

void vm_kill(struct vm *vm)
{
	if (vm->pid <= 0)
		return;
	kill(vm->pid, SIGKILL);
	waitpid(vm->pid, NULL, 0);
	close_streams(vm);
}

/* ------------------------------------------------------------------ */
/* State of the host's kernel */

static long read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long n = -1;

	if (f && fscanf(f, "%ld", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	return n;
}

/* The folder of the guest's statistics, "PID-FD". */
static bool stats_dir(struct vm *vm, char *path, size_t size)
{
	DIR *dir = opendir(STATS);
	struct dirent *d;
	bool found = false;
	char prefix[16];

	snprintf(prefix, sizeof(prefix), "%d-", vm->pid);
	while (dir && !found && (d = readdir(dir))) {
		found = !strncmp(d->d_name, prefix, strlen(prefix));
		snprintf(path, size, STATS "/%s", d->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

long vm_stat(struct vm *vm, const char *name)
{
	char dir[PATH_MAX / 2], path[PATH_MAX];

	if (!stats_dir(vm, dir, sizeof(dir)))
		return -1;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return read_number(path);
}

struct vm_counts vm_counts(struct vm *vm)
{
	return (struct vm_counts){
		.hcalls = vm_stat(vm, "tce_hcalls"),
		.entries = vm_stat(vm, "tce_entries"),
		.user = vm_stat(vm, "tce_user"),
		.real = vm_stat(vm, "tce_realmode"),
	};
}

void vm_print_stats(struct vm *vm, const char *prefix)
{
	char path[PATH_MAX / 2];
	struct dirent **list;
	int n, i;

	if (!stats_dir(vm, path, sizeof(path)))
		return;
	n = scandir(path, &list, NULL, alphasort);
	for (i = 0; i < n; i++)
		if (!strncmp(list[i]->d_name, "tce_", 4))
			printf("%s%s: %ld\n", prefix, list[i]->d_name,
			       vm_stat(vm, list[i]->d_name));
}

bool vm_is_power8(void)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = !strncmp(line, "cpu", 3) && strstr(line, "POWER8");
	if (f)
		fclose(f);
	return found;
}

const char *vm_no_real_mode(struct vm *vm)
{
	if (vm_stat(vm, "tce_realmode") < 0)
		return "this kernel serves none in real mode";
	if (!vm_is_power8() || strstr(getenv("harness_kvm") ? : "", "PR"))
		return "only a guest of KVM-HV on POWER8 calls in real mode";
	return NULL;
}

long vm_memory(struct vm *vm, const char *name)
{
	size_t len = strlen(name);
	char path[64], line[256];
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", vm->pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (kb < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && line[len] == ':')
			kb = strtol(line + len + 1, NULL, 10);
	fclose(f);
	return kb < 0 ? kb : kb * 1024;
}

void vm_each_line(struct vm *vm, void (*call)(const char *line, void *arg),
		  void *arg)
{
	char dir[64], path[PATH_MAX], link[PATH_MAX], line[512];
	struct dirent **list;
	ssize_t len;
	int n, i;
	FILE *f;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", vm->pid);
	n = scandir(dir, &list, NULL, versionsort);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		len = readlink(path, link, sizeof(link) - 1);
		link[len < 0 ? 0 : len] = '\0';
		/* it was opened below another root */
		if (!strstr(link, "/dev/vfio/vfio"))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", vm->pid,
			 list[i]->d_name);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			if (!strncmp(line, "spapr_tce_", 10))
				call(line, arg);
		if (f)
			fclose(f);
	}
}

static void print_line(const char *line, void *arg)
{
	printf("%s%s", (const char *)arg, line);
}

void vm_print_containers(struct vm *vm, const char *prefix)
{
	vm_each_line(vm, print_line, (void *)prefix);
}

static void add_container(const char *line, void *arg)
{
	*(unsigned int *)arg += !strncmp(line, "spapr_tce_version:", 18);
}

unsigned int vm_containers(struct vm *vm)
{
	unsigned int nr = 0;

	vm_each_line(vm, add_container, &nr);
	return nr;
}

static void add_mapped(const char *line, void *arg)
{
	const char *at = strstr(line, " mapped=");
	long *sum = arg;

	if (strncmp(line, "spapr_tce_window:", 17) || !at)
		return;
	*sum = (*sum < 0 ? 0 : *sum) + atol(at + 8);
}

long vm_mapped(struct vm *vm)
{
	long sum = -1;

	vm_each_line(vm, add_mapped, &sum);
	return sum;
}

static void take_version(const char *line, void *arg)
{
	const char *name = "spapr_tce_version:";

	if (!strncmp(line, name, strlen(name)))
		*(long *)arg = atol(line + strlen(name));
}

long vm_version(struct vm *vm)
{
	long version = -1;

	vm_each_line(vm, take_version, &version);
	return version;
}

/* ------------------------------------------------------------------ */
/* The guest's console */

/* One expression for all lines of the list of what must not be there. */
static bool compile_deny(regex_t *re)
{
	char line[256], all[4096] = "";
	FILE *f = fopen(DENY, "re");

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!*line || *line == '#')
			continue;
		if (strlen(all) + strlen(line) + 2 > sizeof(all))
			break;
		if (*all)
			strcat(all, "|");
		strcat(all, line);
	}
	if (f)
		fclose(f);
	return *all && !regcomp(re, all, REG_EXTENDED | REG_NOSUB);
}

void vm_expect_crash(void)
{
	crashed = true;
}

/*
 * The begin of the last kernel, which may follow on what the dead one has said.
 */
static long last_kernel(FILE *f)
{
	char line[1024];
	long at = 0, last = 0;

	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "] Linux version "))
			last = at;
		at = ftell(f);
	}
	return last;
}

unsigned int vm_print_splats(const char *prefix)
{
	FILE *f = fopen(ROOT CONSOLE, "re");
	unsigned int splats = 0;
	char line[1024];
	regex_t re;

	/* Nothing was looked at: that is not good either. */
	if (!f || !compile_deny(&re))
		return UINT_MAX;
	fseek(f, crashed ? last_kernel(f) : 0, SEEK_SET);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (regexec(&re, line, 0, NULL, 0))
			continue;
		splats++;
		printf("%s%s\n", prefix, line);
	}
	regfree(&re);
	fclose(f);
	return splats;
}

static void print_end(const char *path, const char *prefix, unsigned int lines)
{
	char line[1024], cmd[PATH_MAX];
	FILE *f;

	snprintf(cmd, sizeof(cmd), "/bin/busybox tail -n %u %s 2>&1", lines,
		 path);
	f = popen(cmd, "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		printf("%s%s\n", prefix, line);
	}
	if (f)
		pclose(f);
}

void vm_print_console(const char *prefix, unsigned int lines)
{
	print_end(ROOT QEMU_LOG, prefix, lines);
	print_end(ROOT CONSOLE, prefix, lines);
}
