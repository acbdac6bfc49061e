// SPDX-License-Identifier: GPL-2.0
/*
 * In the guest: does what the host says on the virtio port "control", a line
 * for each command, and answers with lines that begin with "@agent".
 *
 *	open SIZE	open the devices, and register so many bytes for each
 *	map		map them, page by page
 *	copy		let each device copy, and compare
 *	unmap
 *	busy		go on mapping, copying and unmapping until the end
 *	calm		no longer
 *	isolate N	let the hypervisor have the device, in use as it is
 *	close		close everything
 *	remove N	the kernel is to forget the device
 *	release BDF	it forgets that device, which the hypervisor then has
 *	accept		it looks for the device that was released
 *	run PROGRAM	a test program
 *	sh COMMAND	a command of the shell; answers with its last line
 *	direct A F G	read F without the page cache, compare, write G; answers
 *			with the pages of the buffer at or above the address A
 *	quit
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dma.h"

#define PORTS		"/sys/class/virtio-ports"
#define DEVICES		"/sys/bus/pci/devices"

/* LoPAPR 7.3.5.4: the isolation state of a connector */
#define ISOLATION	9001
#define ISOLATE		0
#define UNISOLATE	1

static struct {
	struct dma dma[SPAPR_MAX_GROUPS];
	pthread_t worker[SPAPR_MAX_GROUPS];
	unsigned int nr;
	unsigned int nr_workers;
	atomic_bool busy;
	atomic_uint rounds[SPAPR_MAX_GROUPS];
	atomic_int error[SPAPR_MAX_GROUPS];	/* why a worker ended */
	char bdf[SPAPR_MAX_GROUPS][SPAPR_BDF_LEN];
	unsigned int drc[SPAPR_MAX_GROUPS];
	unsigned int released;	/* the connector of what was released */
} agent;

static void answer(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("@agent ", stdout);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
}

static void failed(const char *what, int ret)
{
	answer("failed: %s: %s", what, strerror(-ret));
}

/* ------------------------------------------------------------------ */
/* Maps and DMA */

static int each(int (*call)(struct dma *d))
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < agent.nr; i++)
		ret = call(&agent.dma[i]);
	return ret;
}

static void close_all(void)
{
	while (agent.nr)
		dma_close(&agent.dma[--agent.nr]);
}

static int open_all(size_t size)
{
	int ret;

	while (agent.nr < spapr_nr_devices()) {
		ret = dma_open(&agent.dma[agent.nr], agent.nr, size);
		if (ret)
			return ret;
		agent.nr++;
	}
	return agent.nr ? 0 : -ENODEV;
}

static void open_devices(const char *arg)
{
	int ret = open_all(strtoul(arg, NULL, 0));

	if (ret)
		failed("open", ret);
	else
		answer("opened %u devices", agent.nr);
}

static void map(const char *arg)
{
	int ret = each(dma_map);

	if (ret)
		failed("map", ret);
	else
		answer("mapped for %u devices", agent.nr);
}

static void copy(const char *arg)
{
	static char seed;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < agent.nr; i++) {
		ret = dma_copy(&agent.dma[i], ++seed);
		if (ret < 0) {
			failed("copy", ret);
			return;
		}
	}
	answer("copied %d bytes by each of %u devices", ret, agent.nr);
}

static void unmap(const char *arg)
{
	int ret = each(dma_unmap);

	if (ret)
		failed("unmap", ret);
	else
		answer("unmapped");
}

/* Until the device is taken away, or calm() ends it. */
static void *work(void *arg)
{
	struct dma *d = arg;
	atomic_uint *rounds = &agent.rounds[d - agent.dma];
	int ret = 0;

	while (!ret && agent.busy) {
		ret = dma_unmap(d);
		if (!ret)
			ret = dma_map(d);
		if (!ret)
			ret = dma_copy(d, ++*rounds);
		if (ret > 0)
			ret = 0;
	}
	agent.error[d - agent.dma] = ret;
	return NULL;
}

/* Each has begun its second round: there is always something under way. */
static int wait_for_rounds(void)
{
	unsigned int i;

	for (i = 0; i < agent.nr_workers; i++)
		while (agent.rounds[i] < 2) {
			if (agent.error[i])
				return agent.error[i];
			usleep(1000);
		}
	return 0;
}

static void busy(const char *arg)
{
	unsigned int i;
	int ret;

	agent.busy = true;
	for (i = 0; i < agent.nr; i++) {
		agent.rounds[i] = 0;
		agent.error[i] = 0;
		if (pthread_create(&agent.worker[i], NULL, work, &agent.dma[i]))
			break;
	}
	agent.nr_workers = i;
	ret = wait_for_rounds();
	if (ret)
		failed("busy", ret);
	else
		answer("busy: %u devices", agent.nr_workers);
}

static void calm(const char *arg)
{
	agent.busy = false;
	while (agent.nr_workers)
		pthread_join(agent.worker[--agent.nr_workers], NULL);
	answer("calm");
}

static void close_devices(const char *arg)
{
	close_all();
	answer("closed");
}

/* ------------------------------------------------------------------ */
/* Hot unplug, which on a distribution rtas_errd and drmgr do */

static int read_be32(const char *path, unsigned int *value)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;
	__be32 v;

	if (fd < 0)
		return -errno;
	if (read(fd, &v, sizeof(v)) != sizeof(v))
		ret = -EIO;
	else
		*value = be32toh(v);
	close(fd);
	return ret;
}

static int set_indicator(unsigned int indicator, unsigned int index,
			 unsigned int state)
{
	struct {
		__be32 token, nargs, nret, args[16];
		__be64 rets;
	} call = {
		.nargs = htobe32(3),
		.nret = htobe32(1),
		.args = { htobe32(indicator), htobe32(index), htobe32(state) },
	};
	unsigned int token;
	int ret = read_be32("/proc/device-tree/rtas/set-indicator", &token);

	if (ret)
		return ret;
	call.token = htobe32(token);
	if (syscall(SYS_rtas, &call))
		return -errno;
	return call.args[3] ? -EIO : 0;
}

static int read_drc(const char *bdf, unsigned int *drc)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DEVICES "/%s/of_node/ibm,my-drc-index",
		 bdf);
	return read_be32(path, drc);
}

/* A removed device has no sysfs files: read all of them at the start. */
static void note_devices(void)
{
	unsigned int i;

	for (i = 0; i < spapr_nr_devices(); i++) {
		strcpy(agent.bdf[i], spapr_bdf(i));
		if (read_drc(agent.bdf[i], &agent.drc[i]))
			agent.drc[i] = 0;
	}
}

static void isolate(const char *arg)
{
	unsigned int n = strtoul(arg, NULL, 0) % SPAPR_MAX_GROUPS;
	int ret = set_indicator(ISOLATION, agent.drc[n], ISOLATE);

	if (ret)
		failed("isolate", ret);
	else
		answer("isolated %s", agent.bdf[n]);
}

static int write_one(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, "1", 1) == 1 ? 0 : -errno;
	close(fd);
	return ret;
}

static void remove_device(const char *arg)
{
	unsigned int n = strtoul(arg, NULL, 0) % SPAPR_MAX_GROUPS;
	char path[PATH_MAX];
	int ret;

	snprintf(path, sizeof(path), DEVICES "/%s/remove", agent.bdf[n]);
	ret = write_one(path);
	if (ret)
		failed("remove", ret);
	else
		answer("removed %s", agent.bdf[n]);
}

static void release(const char *arg)
{
	char path[PATH_MAX];
	int ret = read_drc(arg, &agent.released);

	snprintf(path, sizeof(path), DEVICES "/%s/remove", arg);
	if (!ret)
		ret = write_one(path);
	if (!ret)
		ret = set_indicator(ISOLATION, agent.released, ISOLATE);
	if (ret)
		failed("release", ret);
	else
		answer("released %s", arg);
}

static void accept_device(const char *arg)
{
	int ret = set_indicator(ISOLATION, agent.released, UNISOLATE);

	if (!ret)
		ret = write_one("/sys/bus/pci/rescan");
	if (ret)
		failed("accept", ret);
	else
		answer("accepted");
}

/* ------------------------------------------------------------------ */

static void run(const char *arg)
{
	char path[PATH_MAX];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "/tests/vfio/%s", arg);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl(path, arg, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		failed("run", -errno);
	else if (WIFEXITED(status))
		answer("ran %s: exit status %d", arg, WEXITSTATUS(status));
	else
		answer("ran %s: signal %d", arg, WTERMSIG(status));
}

static void shell(const char *arg)
{
	char line[512] = "";
	int status;
	FILE *f;

	fflush(stdout);
	f = popen(arg, "re");
	while (f && fgets(line, sizeof(line), f))
		line[strcspn(line, "\n")] = '\0';
	status = f ? pclose(f) : -1;
	if (status)
		answer("failed: %s: status 0x%x: %s", arg, status, line);
	else
		answer("sh %s", line);
}

/*
 * Pages of @mem whose physical address is @from or above; -1: not to be known.
 */
static long pages_above(const char *mem, size_t size, unsigned long from)
{
	size_t page = spapr_page_size(), at;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned long entry;
	long n = 0;

	for (at = 0; n >= 0 && at < size; at += page) {
		if (pread(fd, &entry, sizeof(entry), (unsigned long)(mem + at) /
			  page * sizeof(entry)) != sizeof(entry))
			n = -1;
		else
			n += (entry & ((1UL << 55) - 1)) * page >= from;
	}
	close(fd);
	return n;
}

/* All of a file: the device writes to @mem, or reads from it. */
static int direct_io(const char *path, char *mem, size_t size, bool write_it)
{
	int mode = write_it ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY;
	int fd = open(path, O_CLOEXEC | O_DIRECT | mode, 0644);
	size_t done = 0;
	ssize_t len = 1;

	while (fd >= 0 && len > 0 && done < size) {
		len = write_it ? write(fd, mem + done, size - done) :
				 read(fd, mem + done, size - done);
		done += len > 0 ? len : 0;
	}
	if (fd < 0 || len < 0 || close(fd))
		return -errno;
	return 0;
}

static int same_as(const char *path, const char *mem, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;
	char part[65536];
	ssize_t len;
	size_t at;

	for (at = 0; !ret && at < size; at += len) {
		len = read(fd, part, sizeof(part));
		if (len <= 0 || memcmp(part, mem + at, len))
			ret = -EIO;
	}
	close(fd);
	return ret;
}

static void direct(const char *arg)
{
	size_t page = spapr_page_size(), size;
	char from[256], to[256], *mem;
	unsigned long above;
	struct stat st;
	long n = -1;
	int ret;

	if (sscanf(arg, "%li %255s %255s", (long *)&above, from, to) != 3 ||
	    stat(from, &st)) {
		failed("direct", -EINVAL);
		return;
	}
	size = (st.st_size + page - 1) / page * page;
	mem = spapr_mem(size);
	ret = mem ? direct_io(from, mem, size, false) : -ENOMEM;
	if (!ret)
		ret = same_as(from, mem, st.st_size);
	if (!ret)
		ret = direct_io(to, mem, size, true);
	if (!ret && truncate(to, st.st_size))
		ret = -errno;
	if (!ret)
		n = pages_above(mem, size, above);
	if (mem)
		munmap(mem, size);
	if (ret)
		failed("direct", ret);
	else
		answer("direct %ld of %zu", n, size / page);
}

static const struct {
	const char *name;
	void (*call)(const char *arg);
} commands[] = {
	{ "open", open_devices },
	{ "map", map },
	{ "copy", copy },
	{ "unmap", unmap },
	{ "busy", busy },
	{ "calm", calm },
	{ "isolate", isolate },
	{ "close", close_devices },
	{ "remove", remove_device },
	{ "release", release },
	{ "accept", accept_device },
	{ "run", run },
	{ "sh", shell },
	{ "direct", direct },
};

static void obey(char *line)
{
	char *arg = strchr(line, ' ');
	unsigned int i;

	if (arg)
		*arg++ = '\0';
	else
		arg = line + strlen(line);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(line, commands[i].name)) {
			commands[i].call(arg);
			return;
		}
	}
	answer("failed: no such command: %s", line);
}

/* The port that has this name. */
static FILE *open_port(const char *name)
{
	char path[PATH_MAX], is[64] = "";
	DIR *dir = opendir(PORTS);
	FILE *f, *port = NULL;
	struct dirent *d;

	while (dir && !port && (d = readdir(dir))) {
		snprintf(path, sizeof(path), PORTS "/%s/name", d->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (!fgets(is, sizeof(is), f))
			is[0] = '\0';
		fclose(f);
		is[strcspn(is, "\n")] = '\0';
		snprintf(path, sizeof(path), "/dev/%s", d->d_name);
		if (!strcmp(is, name))
			port = fopen(path, "re");
	}
	if (dir)
		closedir(dir);
	return port;
}

int main(void)
{
	FILE *control = open_port("control");
	char line[1024];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!control) {
		printf("1..0 # SKIP runs in a guest that kvm:passthrough starts\n");
		return 0;
	}
	note_devices();
	answer("ready: %u devices", spapr_nr_devices());
	while (fgets(line, sizeof(line), control)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "quit"))
			break;
		obey(line);
	}
	calm("");
	close_all();
	return 0;
}
