#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# QEMU 10.0.13 and 11.1.3 (Debian qemu-system-ppc 1:10.0.13+ds-0+deb13u1 and
# 1:11.1.3+ds-1): where one thread runs all virtual CPUs (-icount, or -accel
# tcg,thread=single), a TCG plugin gets a wrong CPU. A callback gets the index of
# the CPU that was first to translate the block, whichever executes it. QEMU 7.2.22
# (Debian 12, 1:7.2+dfsg-7+deb12u18+b3) passes the right one, and with a thread for
# each CPU all three do.
#
# So what a plugin counts by CPU under -icount is added to one of them, and a plugin
# that follows one CPU (from a mark to a mark) includes concurrent work of the
# others. Nothing warns: the sum is right, and the plugin was notified of all CPUs
# when they were made. Count with one CPU (-smp 1), or have the guest say which it is.
#
# Three CPUs of a powernv9 start at 0x10, in a firmware of three instructions, and the
# plugin says by which CPU each of the first three entries was.
#
# Needs: an apt set up for Debian on amd64, gcc, 1 GB in TMPDIR.
set -eu -o pipefail

TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
cd "$TMP"

# shellcheck disable=SC2016
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	'Origin: Debian' 'Component: main' | head -n 1)
[ -n "$uri" ] || { echo "this machine is set up for no archive of Debian"; exit 1; }

# unpack SUITE PACKAGE=VERSION: with all that it depends on, libc included.
unpack() {
	local d=$TMP/$1 p
	mkdir -p "$d"/apt/lists/partial "$d"/apt/cache/archives/partial "$d/root"
	: >"$d/apt/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $1 main" \
		>"$d/apt/sources"
	cat >"$d/apt/conf" <<-EOF
		Dir::Etc::sourcelist "$d/apt/sources";
		Dir::Etc::sourceparts "-";
		Dir::State "$d/apt";
		Dir::State::status "$d/apt/status";
		Dir::Cache "$d/apt/cache";
		Acquire::Languages "none";
		APT::Architectures { "amd64"; };
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
	EOF
	APT_CONFIG=$d/apt/conf apt-get -qq update
	APT_CONFIG=$d/apt/conf apt-get -qq -y --download-only install "$2" \
		>/dev/null
	for p in "$d"/apt/cache/archives/*.deb; do
		dpkg-deb -x "$p" "$d/root"
	done
	rm -r "$d/apt"
}

cat >plugin.c <<'EOF'
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;

uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int, void *),
					  int flags, void *data);

EXPORT int qemu_plugin_version = API;

/* Each CPU comes here once. */
static void entered(unsigned int cpu, void *unused)
{
	static int entries;

	(void)unused;
	printf("%s%u", entries ? " " : "", cpu);
	if (__atomic_add_fetch(&entries, 1, __ATOMIC_SEQ_CST) < 3)
		return;
	printf("\n");
	fflush(stdout);
	_exit(0);
}

static void look_at(struct qemu_plugin_tb *tb)
{
	if (qemu_plugin_tb_vaddr(tb) == 0x10)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, entered, 0, NULL);
}

#if API >= 7
void qemu_plugin_register_vcpu_tb_trans_cb(
	uint64_t id, void (*cb)(struct qemu_plugin_tb *, void *), void *data);

static void translated(struct qemu_plugin_tb *tb, void *unused)
{
	(void)unused;
	look_at(tb);
}

#define REGISTER(id) qemu_plugin_register_vcpu_tb_trans_cb(id, translated, NULL)
#else
void qemu_plugin_register_vcpu_tb_trans_cb(
	uint64_t id, void (*cb)(uint64_t, struct qemu_plugin_tb *));

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	look_at(tb);
}

#define REGISTER(id) qemu_plugin_register_vcpu_tb_trans_cb(id, translated)
#endif

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	(void)info;
	(void)argc;
	(void)argv;
	REGISTER(id);
	return 0;
}
EOF

# At 0x10: nop, and a branch to 0x20, which branches to itself.
{
	head -c 16 /dev/zero
	printf '\x60\0\0\0\x48\0\0\x0c\0\0\0\0\0\0\0\0\x48\0\0\0'
} >firmware

# entries SUITE OPTIONS...: the CPUs, in order
entries() {
	local r=$TMP/$1/root suite=$1
	shift
	timeout 120 "$(ls "$r"/lib64/ld-linux-x86-64.so.2 \
		"$r"/usr/lib64/ld-linux-x86-64.so.2 2>/dev/null | head -n 1)" \
		--library-path \
		"$r/usr/lib/x86_64-linux-gnu:$r/lib/x86_64-linux-gnu:$r/usr/lib/x86_64-linux-gnu/pulseaudio" \
		"$r/usr/bin/qemu-system-ppc64" -L "$r/usr/share/qemu" \
		-L "$r/usr/share/seabios" -M powernv9 -smp 3 -bios firmware \
		-nodefaults -display none -plugin "./$suite.so" "$@" \
		2>err </dev/null | tr ' ' '\n' | sort | paste -sd' '
}

fail() { echo "CHANGED: $*"; exit 1; }

# look SUITE API EACH-THREAD ONE-THREAD [ICOUNT]
look() {
	local each one icount=
	gcc -shared -fPIC -Wall "-DAPI=$2" -o "$1.so" plugin.c
	each=$(entries "$1" -accel tcg,thread=multi)
	one=$(entries "$1" -accel tcg,thread=single)
	[ -z "${5:-}" ] || icount=$(entries "$1" -icount shift=0)
	echo "$1: the three CPUs with a thread for each: $each; with one thread: $one${icount:+; -icount: $icount}"
	[ "$each" = "$3" ] || fail "$1, a thread for each: $each $(cat err)"
	[ "$one" = "$4" ] || fail "$1, one thread: $one $(cat err)"
	[ "$icount" = "${5:-}" ] || fail "$1, -icount: $icount $(cat err)"
}

unpack bookworm qemu-system-ppc=1:7.2+dfsg-7+deb12u18+b3
unpack trixie qemu-system-ppc=1:10.0.13+ds-0+deb13u1
unpack sid qemu-system-ppc=1:11.1.3+ds-1
look bookworm 1 "0 1 2" "0 1 2"
look trixie 4 "0 1 2" "0 0 0" "0 0 0"
look sid 7 "0 1 2" "0 0 0" "0 0 0"
