// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"

#define PCI		"/sys/bus/pci/devices"
#define NVME		"0x010802"
#define FOUND		"until [ -b /dev/nvme0n1 ]; do sleep 0.1; done"

struct disk disk;

static int is_nvme(const struct dirent *d)
{
	char path[512], class[16] = "";
	FILE *f;

	snprintf(path, sizeof(path), PCI "/%s/class", d->d_name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(class, sizeof(class), f))
		class[0] = '\0';
	fclose(f);
	return !strncmp(class, NVME, strlen(NVME));
}

const char *disk_missing(void)
{
	struct dirent **list;

	if (scandir(PCI, &list, is_nvme, alphasort) < 1)
		return "an NVMe disk: see harness/machines/*-kvm";
	snprintf(disk.bdf, sizeof(disk.bdf), "%s", list[0]->d_name);
	return NULL;
}

bool disk_has_kernel(void)
{
	return !access(ROOT "/guest/debian/vmlinux", F_OK);
}

/* ------------------------------------------------------------------ */
/* Commands */

static bool on_host(const char *command)
{
	char all[640], line[sizeof(disk.line)] = "";
	FILE *f;

	snprintf(all, sizeof(all), "{ %s; } 2>&1", command);
	fflush(stdout);
	f = popen(all, "re");
	while (f && fgets(line, sizeof(line), f))
		line[strcspn(line, "\n")] = '\0';
	strcpy(disk.line, line);
	return f && !pclose(f);
}

static bool in_guest(struct vm *vm, const char *command)
{
	char all[640];

	snprintf(all, sizeof(all), "sh %s", command);
	if (vm_tell(vm, all, "sh ", disk.line, sizeof(disk.line)))
		return true;
	strcpy(disk.line, vm->why);
	return false;
}

/* What a person would not type, such as to wait. */
static bool quietly(struct vm *vm, const char *command)
{
	return vm ? in_guest(vm, command) : on_host(command);
}

bool disk_shell(struct vm *vm, const char *command)
{
	return quietly(vm, command);
}

static bool run(struct vm *vm, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static bool run(struct vm *vm, const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (disk.said)
		disk.said(vm ? "guest" : "host", command);
	return quietly(vm, command);
}

/* ------------------------------------------------------------------ */
/* Whose it is */

bool disk_bind(const char *bdf, const char *driver)
{
	char check[128];

	snprintf(check, sizeof(check),
		 "[ -e /sys/bus/pci/drivers/%s/%s ] || { echo not bound; false; }",
		 driver, bdf);
	return run(NULL, "cd " PCI "/%s; echo %s >driver_override", bdf, driver) &&
	       run(NULL, "cd " PCI "/%s; echo %s >driver/unbind", bdf, bdf) &&
	       run(NULL, "echo %s >/sys/bus/pci/drivers_probe", bdf) &&
	       quietly(NULL, check);
}

bool disk_give(void)
{
	return disk_bind(disk.bdf, "vfio-pci");
}

/* A driver looks for the disk behind the back of who binds it. */
bool disk_take(void)
{
	return disk_bind(disk.bdf, "nvme") && quietly(NULL, FOUND);
}

bool disk_start(struct vm *vm, const char *append)
{
	vm->disk = disk.bdf;
	vm->nr_devices = 1;
	return vm_start(vm, append);
}

bool disk_boot(struct vm *vm, char *version, size_t size)
{
	return vm_hear(vm, "@hello", version, size) &&
	       vm_hear(vm, "@agent ready", NULL, 0) && quietly(vm, FOUND);
}

/* ------------------------------------------------------------------ */
/* What is on it */

bool disk_mount(struct vm *vm)
{
	return quietly(vm, FOUND "; mkdir -p /mnt") &&
	       run(vm, "mount -t ext4 /dev/nvme0n1 /mnt");
}

bool disk_umount(struct vm *vm)
{
	return run(vm, "umount /mnt");
}

bool disk_sum(struct vm *vm, const char *file)
{
	return run(vm, "echo 3 >/proc/sys/vm/drop_caches; sha256sum /mnt/%s",
		   file);
}

bool disk_check(void)
{
	return run(NULL, "chroot /run/disk e2fsck -fn /dev/nvme0n1");
}

bool disk_write(struct vm *vm, const char *file)
{
	return run(vm, "dd if=/dev/urandom of=/mnt/%s bs=1M count=%d conv=fsync",
		   file, DISK_WRITTEN) &&
	       run(vm, "sha256sum /mnt/%s", file);
}

/* The ninth word is what the disk has not answered yet. */
bool disk_busy(struct vm *vm)
{
	return run(vm, "while :; do dd if=/dev/urandom of=/mnt/busy bs=1M count=8 conv=fsync;"
		   " done >/dev/null 2>&1 &") &&
	       quietly(vm, "until [ -s /mnt/busy ] && awk '{ exit !$9 }' "
		       "/sys/block/nvme0n1/stat; do :; done");
}
