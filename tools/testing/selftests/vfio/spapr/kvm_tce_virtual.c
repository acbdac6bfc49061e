// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the other programs with real mode off, on a host that handles TCE
 * hypercalls in real mode: their expectations must hold in both modes.
 *
 * Their cases are the cases of this program, their arguments its arguments.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../../kselftest.h"
#include "libkvm_tce.h"

#define LINE	1024

static const char * const programs[] = {
	"kvm_tce", "kvm_tce_vfio", "kvm_tce_races",
};

/* A running program and its output so far. */
struct program {
	const char *name;
	pid_t pid;
	FILE *says;
	unsigned int plan;
	unsigned int seen;
};

/* Executes a program in the same directory, with the arguments of this one. */
static void become(const char *name, char **argv)
{
	char self[PATH_MAX], path[PATH_MAX + NAME_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0)
		_exit(KSFT_FAIL);
	self[len] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dirname(self), name);
	argv[0] = path;
	execv(path, argv);
	printf("# %s: %s\n", path, strerror(errno));
	fflush(stdout);
	_exit(KSFT_FAIL);
}

static int start(struct program *p, char **argv)
{
	pid_t parent = getpid();
	int fds[2];

	if (pipe(fds))
		return -errno;
	fflush(stdout);
	p->pid = fork();
	if (!p->pid) {
		/*
		 * else it would continue in the other mode after this process
		 * exits
		 */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(KSFT_FAIL);
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		become(p->name, argv);
	}
	close(fds[1]);
	p->says = fdopen(fds[0], "r");
	return p->pid < 0 || !p->says ? -EAGAIN : 0;
}

/* "ok 7 emulated.name # SKIP why", renumbered */
static void pass_on(struct program *p, const char *line)
{
	bool good = !strncmp(line, "ok ", 3);
	const char *name = line + (good ? 3 : 7);

	name += strspn(name, "0123456789 ");
	p->seen++;
	if (!good)
		ksft_inc_fail_cnt();
	else if (strstr(name, "# SKIP"))
		ksft_inc_xskip_cnt();
	else
		ksft_inc_pass_cnt();
	printf("%s %u %s: %s", good ? "ok" : "not ok", ksft_test_num(), p->name,
	       name);
}

static void hear(struct program *p, const char *line)
{
	if (!strncmp(line, "ok ", 3) || !strncmp(line, "not ok ", 7))
		pass_on(p, line);
	else if (!strncmp(line, "1..", 3))
		p->plan = strtoul(line + 3, NULL, 10);
	else if (strncmp(line, "TAP version", 11))
		fputs(line, stdout);
	fflush(stdout);
}

/* The exit of a program is a case too. */
static void run(const char *name, char **argv)
{
	struct program p = { .name = name, .plan = UINT_MAX };
	char line[LINE];
	int status = -1;

	if (start(&p, argv))
		ksft_exit_fail_msg("%s cannot be started\n", name);
	while (fgets(line, sizeof(line), p.says))
		hear(&p, line);
	fclose(p.says);
	waitpid(p.pid, &status, 0);
	if (p.seen != p.plan)
		ksft_print_msg("%u of %d cases, wait status 0x%x\n", p.seen,
			       (int)p.plan, status);
	ksft_test_result(p.seen == p.plan && WIFEXITED(status) &&
			 !vm_real_mode(),
			 "%s: has ended, and real mode was off\n", name);
}

static const char *missing(void)
{
	const char *why = vm_missing();

	if (why)
		return why;
	if (!vm_has_real_mode())
		return VM_NEEDS_REAL_MODE;
	if (vm_real_mode() < 0)
		return "needs root, debugfs and CONFIG_KVM_BOOK3S_64_TCE_SWITCH";
	return NULL;
}

int main(int argc, char **argv)
{
	const char *why = missing();
	struct vm_switch sw;
	unsigned int i;

	ksft_print_header();
	if (why)
		ksft_exit_skip("%s\n", why);
	if (vm_real_mode() != 1)
		ksft_exit_fail_msg("real mode was off before\n");
	if (vm_real_mode_off(&sw))
		ksft_exit_fail_msg("real mode cannot be turned off\n");
	for (i = 0; i < ARRAY_SIZE(programs); i++)
		run(programs[i], argv);
	vm_real_mode_restore(&sw);
	ksft_test_result(vm_real_mode() == 1, "real mode is on again\n");
	/* the number of cases is only known at the end */
	ksft_set_plan(ksft_test_num());
	ksft_finished();
}
