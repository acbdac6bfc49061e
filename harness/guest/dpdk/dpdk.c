// SPDX-License-Identifier: GPL-2.0
/*
 * DPDK drives network cards through VFIO: Debian's own dpdk-testpmd, in two
 * processes with two cards each, which are a container each. Two cables join
 * the cards:
 *
 *	sender    card 0 ------ card 0    forwarder
 *	          card 1 ------ card 1
 *
 * The sender makes packets; the forwarder writes other addresses into them and
 * sends them from its other card, back to the sender. A device whose DMA fails
 * is heard of nowhere and counts packets all the same. So the headers that
 * testpmd finds in its memory are compared, each of them: those of the
 * forwarder change while it runs, so stale contents of a buffer are
 * distinguished from a packet that has arrived.
 */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libspapr.h"
#include "../kvm/tap.h"
#include "../kvm/vm.h"

#define HUGE		ROOT "/dev/hugepages"
#define CARDS		4
#define PORTS		2
#define ENOUGH		500	/* packets for each port and round */
#define STARTS		6
#define SILENCE		240	/* seconds */
#define MAX_ARGS	32
#define KEPT		12	/* lines, to say why */

#define VERSION		"EAL: RTE Version: "

/* Header that the generator of testpmd writes, always the same. */
#define SENT		"src=00:01:02:03:04:00 - dst=00:01:02:03:04:01 "

#define MAC		"([0-9A-F]{2}:){5}[0-9A-F]{2}"

struct port {
	char mac[18];
	char want[64];		/* how a header begins */
	char before[64];	/* of the round before, until it has changed */
	unsigned long good;	/* headers, in this round */
};

/* A testpmd; vm.report is its output, vm.control its input. */
struct pmd {
	const char *name;
	const char *lcores;
	unsigned int card;	/* its first one */
	struct vm vm;
	struct port port[PORTS];
	unsigned int now;	/* the port whose packets are printed */
	unsigned int burst;	/* and how many of them are to come */
	bool ended;
	bool passed;		/* a test of its own */
	unsigned long good;
	unsigned long bad;
	unsigned long torn;
	unsigned long busy;	/* UNREGISTERs that it complains of */
	char kept[KEPT][256];
	unsigned int nr_kept;
};

static struct pmd sender = { .name = "sender", .lcores = "0@1,1@0", .card = 2 };
static struct pmd forwarder = { .name = "forwarder", .lcores = "0@0,1@1" };

static struct {
	char bdf[CARDS][VM_BDF_LEN];
	unsigned int nr_cards;
	unsigned int round;
	long pins;		/* before there was any testpmd */
	long huge;
	unsigned int told;	/* which version this is */
	long page;		/* that DPDK registers and maps, one by one */
} all = { .page = 2 << 20 };

/* As is(), with the last words of testpmd where it is not so. */
static bool pmd_must(struct pmd *p, bool good, const char *what)
{
	unsigned int i;

	for (i = p->nr_kept > KEPT ? p->nr_kept - KEPT : 0;
	     !good && i < p->nr_kept; i++)
		printf("# %s: %s\n", p->name, p->kept[i % KEPT]);
	return is(good, "the %s %s", p->name, what);
}

/* ------------------------------------------------------------------ */
/* The machine */

static int write_text(const char *path, const char *text)
{
	ssize_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != len)
		ret = -errno;
	close(fd);
	return ret;
}

/*
 * Network cards, those of a host bridge side by side; false: one is not bound.
 */
static bool take_cards(void)
{
	char path[PATH_MAX];
	unsigned int i, n = vm_pci("0x0200", all.bdf, CARDS);

	for (i = 0; i < n && i < CARDS; i++) {
		const char *bdf = all.bdf[i];

		all.nr_cards++;
		snprintf(path, sizeof(path), VM_PCI "/%s/driver_override", bdf);
		if (write_text(path, "vfio-pci"))
			return false;
		/* the host's own driver may have it */
		snprintf(path, sizeof(path), VM_PCI "/%s/driver/unbind", bdf);
		write_text(path, bdf);
		if (write_text("/sys/bus/pci/drivers_probe", bdf))
			return false;
		snprintf(path, sizeof(path), "/sys/bus/pci/drivers/vfio-pci/%s",
			 bdf);
		if (access(path, F_OK))
			return false;
	}
	return true;
}

static long free_huge_pages(void)
{
	const char *what = "HugePages_Free:";
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	long n = 0;

	while (f && !n && fgets(line, sizeof(line), f))
		if (!strncmp(line, what, strlen(what)))
			n = atol(line + strlen(what));
	if (f)
		fclose(f);
	return n;
}

/* DPDK leaves its files of huge pages behind, for its next start. */
static void remove_files(void)
{
	DIR *dir = opendir(HUGE);
	char path[PATH_MAX];
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		snprintf(path, sizeof(path), HUGE "/%s", d->d_name);
		if (d->d_name[0] != '.')
			unlink(path);
	}
	if (dir)
		closedir(dir);
}

static void nothing_is_left(void)
{
	long pins = spapr_pins_settle(all.pins), huge;

	remove_files();
	huge = free_huge_pages();
	is(pins == all.pins, "nothing is pinned: %ld pages", pins - all.pins);
	is(huge == all.huge, "%ld of %ld huge pages are free", huge, all.huge);
}

/* ------------------------------------------------------------------ */
/* Output of testpmd */

/*
 * A whole line of a packet. While traffic is on, testpmd's prompt and the echo
 * of its commands come in between; a line that they tear apart is no header.
 */
static bool is_whole(const char *line)
{
	static regex_t re;
	static bool is_compiled;

	if (!is_compiled)
		is_compiled = !regcomp(&re, "^src=" MAC " - dst=" MAC " - (pool=[a-z_0-9]+ - )?"
				 "type=0x[0-9a-f]{4} - length=[0-9]+ - nb_segs=[0-9]+ - "
				 "[A-Za-z0-9_: ]*( - l[234]_len=[0-9]+)*"
				 " - Receive queue=0x[0-9a-f]+ *$",
				 REG_EXTENDED | REG_NOSUB);
	return is_compiled && !regexec(&re, line, 0, NULL, 0);
}

static bool begins(const char *line, const char *with)
{
	return *with && !strncmp(line, with, strlen(with));
}

/*
 * @line begins with "src="; not to be known: whose burst it is, or all of it.
 */
static void take_header(struct pmd *p, const char *line)
{
	struct port *port = &p->port[p->now];
	bool ipv4 = strstr(line, " type=0x0800 ") && strstr(line, " L4_UDP ");

	if (!p->burst)
		return;
	p->burst--;
	if (ipv4 && begins(line, port->want)) {
		port->before[0] = '\0';
		port->good++;
		p->good++;
	} else if (ipv4 && begins(line, port->before)) {
		p->good++;	/* was on its way when the addresses changed */
	} else if (!is_whole(line)) {
		p->torn++;
		p->burst = 0;
	} else if (!p->bad++) {
		printf("# %s, port %u: %s\n# wanted: %s\n", p->name, p->now,
		       line, port->want);
	}
}

static void take(struct pmd *p, const char *line)
{
	const char *prompt = "testpmd> ", *at;
	unsigned int n, nr;
	char mac[18];

	while (begins(line, prompt))
		line += strlen(prompt);
	at = line + strspn(line, " ");
	if (begins(at, "src=")) {
		take_header(p, at);
		return;
	}
	if (!*at || begins(at, "ol_flags:"))
		return;
	p->burst = 0;
	if (sscanf(line, "port %u/queue %*u: received %u packets",
		   &n, &nr) == 2 &&
	    n < PORTS) {
		p->now = n;
		p->burst = nr;
		return;
	}
	if (begins(line, VERSION) && !all.told++)
		printf("# %s\n", line + strlen(VERSION));
	else if (strstr(line, "Cannot unregister vaddr"))
		p->busy++;
	else if (strstr(line, "No probed ethernet devices"))
		p->ended = true;	/* it would go on without */
	else if (!strcmp(line, "Test OK"))
		p->passed = true;
	else if (sscanf(line, "Port %u: %17[0-9A-F:]", &n, mac) == 2 &&
		 n < PORTS && strlen(mac) == 17)
		strcpy(p->port[n].mac, mac);
	snprintf(p->kept[p->nr_kept++ % KEPT], sizeof(p->kept[0]), "%s", line);
}

/* Reads the output of both: a testpmd whose pipe is full would stop. */
static bool listen_until(bool (*done)(struct pmd *p), struct pmd *p)
{
	struct pmd *each[] = { &sender, &forwarder };
	unsigned int i, silent = 0;
	char line[1024];

	while (!done(p)) {
		struct pollfd fds[2];

		if (p && p->ended)
			return false;

		for (i = 0; i < 2; i++)
			fds[i] = (struct pollfd){
				.fd = each[i]->vm.pid && !each[i]->ended ?
				      each[i]->vm.report.fd : -1,
				.events = POLLIN,
			};
		if (!poll(fds, 2, 1000)) {
			if (++silent > SILENCE)
				return false;
			continue;
		}
		silent = 0;
		for (i = 0; i < 2; i++) {
			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			each[i]->ended = !vm_more(&each[i]->vm.report);
			while (vm_line(&each[i]->vm.report, line, sizeof(line)))
				take(each[i], line);
		}
	}
	return true;
}

static bool is_up(struct pmd *p)
{
	return *p->port[0].mac && *p->port[1].mac;
}

static bool has_ended(struct pmd *p)
{
	return p->ended;
}

/* Or one of them is wrong. */
static bool enough_arrived(struct pmd *p)
{
	unsigned int i, ports = 0;

	(void)p;
	for (i = 0; i < PORTS; i++)
		ports += sender.port[i].good >= ENOUGH &&
			 forwarder.port[i].good >= ENOUGH;
	return ports == PORTS || sender.bad || forwarder.bad;
}

/* ------------------------------------------------------------------ */
/* Its life */

/* In the child. */
static void become(char **args, int in, const char *tty)
{
	int out = open(tty, O_WRONLY | O_NOCTTY);

	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	vm_enter();
	setenv("RUNTIME_DIRECTORY", "/tmp", 1);
	setenv("PATH", "/usr/bin", 1);
	execvp(args[0], args);
	_exit(127);
}

/* A terminal, because DPDK is asked to say each line when it is there. */
static bool start_program(struct pmd *p, char **args)
{
	int tty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), in[2];

	if (tty < 0 || grantpt(tty) || unlockpt(tty) || pipe2(in, O_CLOEXEC))
		return false;
	fflush(stdout);
	p->vm.pid = fork();
	if (!p->vm.pid)
		become(args, in[0], ptsname(tty));
	close(in[0]);
	p->vm.report = (struct vm_stream){ .fd = tty };
	p->vm.control = in[1];
	memset(p->port, 0, sizeof(p->port));
	p->good = p->bad = p->torn = p->busy = 0;
	p->nr_kept = p->burst = 0;
	p->ended = p->passed = false;
	return p->vm.pid > 0;
}

/* @mode are words for DPDK, @own for the program. */
static bool start_with(struct pmd *p, const char *program, const char *mode,
		       const char *own)
{
	char *args[MAX_ARGS + 1], *word, *save, words[512];
	unsigned int nr = 0;

	snprintf(words, sizeof(words),
		 "%s -v --lcores %s --file-prefix=%s -a %s -a %s %s -- %s",
		 program, p->lcores, p->name, all.bdf[p->card],
		 all.bdf[p->card + 1], mode, own);
	for (word = strtok_r(words, " ", &save); word && nr < MAX_ARGS;
	     word = strtok_r(NULL, " ", &save))
		args[nr++] = word;
	args[nr] = NULL;
	return start_program(p, args);
}

static bool start(struct pmd *p, const char *mode)
{
	return pmd_must(p, start_with(p, "dpdk-testpmd", mode,
				      "-i --no-mlockall --total-num-mbufs=2048 --burst=16") &&
			listen_until(is_up, p), "starts with its two cards");
}

static bool tell(struct pmd *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static bool tell(struct pmd *p, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = vdprintf(p->vm.control, fmt, ap);
	va_end(ap);
	return ret > 0;
}

static int bury(struct pmd *p)
{
	int status = -1;

	if (p->vm.pid > 0)
		waitpid(p->vm.pid, &status, 0);
	close(p->vm.report.fd);
	close(p->vm.control);
	p->vm.pid = 0;
	return status;
}

static void kill_it(struct pmd *p)
{
	if (p->vm.pid <= 0)
		return;
	kill(p->vm.pid, SIGKILL);
	bury(p);
}

static bool end(struct pmd *p)
{
	bool ok = listen_until(has_ended, p);
	int status;

	if (!ok)
		kill(p->vm.pid, SIGKILL);
	status = bury(p);
	if (p->torn)
		printf("# %s: %lu lines were torn apart\n", p->name, p->torn);
	if (p->busy)
		printf("# %s: %lu UNREGISTERs of mapped memory: its UNMAPs have wrong addresses\n",
		       p->name, p->busy);
	return pmd_must(p, ok && WIFEXITED(status) && !WEXITSTATUS(status),
			"ends well");
}

static bool quit(struct pmd *p)
{
	tell(p, "stop\nquit\n");
	return end(p);
}

/* ------------------------------------------------------------------ */
/* Traffic */

/* Other addresses for what the forwarder sends; each port of it is a cable. */
static void next_round(void)
{
	unsigned int i;
	struct port *port;

	all.round++;
	if (all.round > 1)
		tell(&forwarder, "stop\n");
	for (i = 0; i < PORTS; i++) {
		port = &sender.port[i];
		strcpy(port->before, port->want);
		snprintf(port->want, sizeof(port->want),
			 "src=%s - dst=02:00:00:00:%02X:%02X ",
			 forwarder.port[i].mac, all.round & 0xff, i);
		port->good = forwarder.port[i].good = 0;
		tell(&forwarder, "set eth-peer %u 02:00:00:00:%02x:%02x\n", i,
		     all.round & 0xff, i);
	}
	tell(&forwarder, "start\n");
}

static void let_forward(void)
{
	unsigned int i;

	for (i = 0; i < PORTS; i++)
		strcpy(forwarder.port[i].want, SENT);
	tell(&forwarder, "set fwd mac\nset verbose 1\n");
	next_round();
}

static void let_send(void)
{
	tell(&sender, "set fwd flowgen\nset verbose 1\nstart\n");
}

static bool check_traffic(const char *what)
{
	bool ok = listen_until(enough_arrived, NULL);

	return is(ok && !forwarder.bad && !sender.bad,
		  "%s: the forwarder has %lu right headers and %lu wrong ones, the sender %lu and %lu",
		  what, forwarder.good, forwarder.bad, sender.good, sender.bad);
}

/* Mapped memory is pinned and accounted. */
static void check_account(void)
{
	long page = spapr_page_size(), each = all.page;
	long mapped = vm_mapped(&forwarder.vm), more = vm_mapped(&sender.vm);
	long locked = vm_memory(&forwarder.vm, "VmLck") +
		      vm_memory(&sender.vm, "VmLck");
	long pins = spapr_pins() - all.pins;

	if (mapped < 0 || more < 0)
		return;		/* no fdinfo in this kernel */
	is(mapped > 0 && more > 0 && pins * page == (mapped + more) * each,
	   "%ld and %ld pages of %ld KiB are mapped, %ld of %ld KiB pinned",
	   mapped, more, each >> 10, pins, page >> 10);
	is(locked >= pins * page, "%ld KiB are counted", locked >> 10);
}

static bool start_both(const char *mode)
{
	all.round = 0;
	if (!start(&forwarder, mode) || !start(&sender, mode))
		return false;
	let_forward();
	let_send();
	return check_traffic("traffic");
}

static bool quit_both(void)
{
	return quit(&sender) & quit(&forwarder);
}

static bool forward(const char *mode)
{
	if (!start_both(mode))
		return false;
	check_account();
	next_round();
	if (!check_traffic("other addresses") || !quit_both())
		return false;
	nothing_is_left();
	return true;
}

/* ------------------------------------------------------------------ */
/* The cases */

static bool by_default(void)
{
	return forward("");
}

/*
 * IOVAs are user addresses; DPDK makes the window as large as the highest of
 * them.
 */
static bool virtual(void)
{
	return forward("--iova-mode=va --base-virtaddr=0x2000000000");
}

/*
 * In this mode DPDK takes any size of huge pages that the kernel knows,
 * reserved or not, and makes the window for that whose memory has the highest
 * address. Those of 1 GiB come first where it is not left to the kernel.
 */
static bool in_memory(void)
{
	return forward("--in-memory --base-virtaddr=0x2000000000");
}

static bool legacy_mem(void)
{
	return forward("--legacy-mem -m 64");
}

/* DPDK registers 4 KiB each, whatever the page size of the kernel. */
static bool no_huge(void)
{
	all.page = 4096;
	return forward("--no-huge -m 64 --iova-mode=va --base-virtaddr=0x200000000");
}

/*
 * The forwarder is ended again and again, every other time in the midst of it.
 */
static bool restarts(void)
{
	unsigned int i;
	long mapped, pins;

	if (!start_both(""))
		return false;
	for (i = 0; i < STARTS; i++) {
		if (i % 2)
			kill_it(&forwarder);
		else if (!quit(&forwarder))
			return false;
		mapped = vm_mapped(&sender.vm) * all.page /
			 (long)spapr_page_size();
		pins = spapr_pins() - all.pins;
		if (mapped >= 0)
			is(pins == mapped,
			   "the sender's %ld pages are pinned: %ld",
			   mapped, pins);
		all.round = 0;
		if (!start(&forwarder, ""))
			return false;
		let_forward();
		if (!check_traffic(i % 2 ? "after a kill" : "after an end"))
			return false;
	}
	kill_it(&sender);
	if (!quit(&forwarder))
		return false;
	nothing_is_left();
	return true;
}

/*
 * Those of DPDK's own tests that allocate and free, with memory that devices
 * reach.
 */
static bool own_tests(void)
{
	static const char * const tests[] = {
		"memory_autotest", "malloc_autotest", "memzone_autotest",
		"mempool_autotest", "external_mem_autotest",
	};
	unsigned int i;
	char what[64];
	long before;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		before = spapr_pins_acquired();
		if (!is(start_with(&forwarder, "dpdk-test", "", tests[i]),
			"dpdk-test starts") || !end(&forwarder))
			return false;
		snprintf(what, sizeof(what), "passes its %s", tests[i]);
		pmd_must(&forwarder, forwarder.passed, what);
		before = spapr_pins_acquired() - before;
		is(before > 0, "it had %ld pages pinned for devices", before);
		nothing_is_left();
	}
	return true;
}

static const char *huge(void)
{
	return all.huge ? NULL : "there are no huge pages";
}

static const char *small(void)
{
	return spapr_page_size() == 4096 ? NULL :
	       "DPDK without huge pages needs a kernel with 4K pages";
}

static const struct tap_case cases[] = {
	{ "default", by_default, huge },
	{ "virtual", virtual, huge },
	{ "in_memory", in_memory, huge },
	{ "legacy_mem", legacy_mem, huge },
	{ "restarts", restarts, huge },
	{ "own_tests", own_tests, huge },
	{ "no_huge", no_huge, small },
};

static const char *missing(char *why, size_t size)
{
	if (!vm_mount(why, size))
		return why;
	if (access(ROOT "/usr/bin/dpdk-testpmd", X_OK))
		return "the disk has no DPDK";
	if (!take_cards())
		return "a card cannot be bound to vfio-pci";
	snprintf(why, size, "%u network cards are needed, there are %u", CARDS,
		 all.nr_cards);
	return all.nr_cards == CARDS ? NULL : why;
}

int main(int argc, char **argv)
{
	char why[256];
	const char *what;

	setvbuf(stdout, NULL, _IOLBF, 0);
	what = missing(why, sizeof(why));
	if (what) {
		printf("Bail out! %s: see harness/machines/pseries-dpdk\n",
		       what);
		vm_umount();
		return 1;
	}
	mount("hugetlbfs", HUGE, "hugetlbfs", 0, NULL);
	all.pins = spapr_pins();
	all.huge = free_huge_pages();
	run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
	kill_it(&sender);
	kill_it(&forwarder);
	remove_files();
	umount(HUGE);
	vm_umount();
	printf("1..%u\n", tap.tests);
	return tap.failed ? 1 : 0;
}
