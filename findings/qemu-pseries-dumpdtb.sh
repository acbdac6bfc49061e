#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# QEMU's "-machine pseries,dumpdtb=FILE" worked in 7.2 (Debian 12, package
# qemu-system-ppc 1:7.2+dfsg-7+deb12u18+b3) and is refused by 10.0.13 and 11.1.3
# (Debian 13 and sid): "This machine doesn't have an FDT", exit 1, no file. On
# powernv9 the same option still works, and on pseries the monitor's command
# dumpdtb writes the tree of a machine that was made but never run (-S).
#
# The option is served before the first reset now, and pseries makes its tree at
# reset. A script that reads the device tree of a pseries guest, e.g. for DMA
# windows and MMU page sizes, must go by the monitor.
#
# Needs: an apt set up for Debian on amd64, 1 GB in TMPDIR.
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

# run SUITE PROGRAM ARGUMENTS...
run() {
	local r=$TMP/$1/root program=$2
	shift 2
	"$(ls "$r"/lib64/ld-linux-x86-64.so.2 "$r"/usr/lib64/ld-linux-x86-64.so.2 \
		2>/dev/null | head -n 1)" --library-path \
		"$r/usr/lib/x86_64-linux-gnu:$r/lib/x86_64-linux-gnu:$r/usr/lib/x86_64-linux-gnu/pulseaudio" \
		"$r/usr/bin/$program" "$@"
}

# dump SUITE MACHINE: by the option; monitor SUITE: pseries by the monitor
dump() {
	rm -f dtb
	run "$1" qemu-system-ppc64 $(dirs "$1") -M "$2,dumpdtb=$TMP/dtb" \
		-nodefaults -display none >out 2>&1 || true
	[ -s dtb ] && echo written || head -n 1 out | sed 's/.*: //'
}

monitor() {
	rm -f dtb
	run "$1" qemu-system-ppc64 $(dirs "$1") -M pseries -nodefaults \
		-display none -S -monitor stdio >/dev/null <<-EOF
		dumpdtb $TMP/dtb
		quit
	EOF
	[ -s dtb ] && echo written || echo nothing
}

dirs() {
	local r=$TMP/$1/root
	echo "-L $r/usr/share/qemu -L $r/usr/share/seabios" \
	     "-L $r/usr/lib/x86_64-linux-gnu/qemu"
}

fail() { echo "CHANGED: $*"; exit 1; }

# look SUITE OPTION-ON-PSERIES
look() {
	local powernv pseries monitor
	powernv=$(dump "$1" powernv9)
	pseries=$(dump "$1" pseries)
	monitor=$(monitor "$1")
	echo "$(run "$1" qemu-system-ppc64 --version | head -n 1)"
	echo "    powernv9,dumpdtb=: $powernv; pseries,dumpdtb=: $pseries; pseries by the monitor: $monitor"
	[ "$powernv" = written ] || fail "powernv9 of $1"
	[ "$pseries" = "$2" ] || fail "pseries of $1"
	[ "$monitor" = written ] || fail "the monitor of $1"
}

NO="This machine doesn't have an FDT"
unpack bookworm qemu-system-ppc=1:7.2+dfsg-7+deb12u18+b3
unpack trixie qemu-system-ppc=1:10.0.13+ds-0+deb13u1
unpack sid qemu-system-ppc=1:11.1.3+ds-1
look bookworm written
look trixie "$NO"
look sid "$NO"
