#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# QEMU 10.0.13 and 11.1.3 (Debian qemu-system-ppc 1:10.0.13+ds-0+deb13u1 and
# 1:11.1.3+ds-1): the bare-metal POWER machines say that their CPUs have the
# radix MMU, but not which page sizes it has.
#
# The device tree of powernv9 and powernv10 sets the radix bit in
# ibm,pa-features and has no ibm,processor-radix-AP-encodings; that of pseries
# with the same CPU has both (4K, 64K, 2M, 1G). Linux takes the list of page
# sizes from that property: without it, radix has the base page size alone, so
# hugetlbfs is off, there are no transparent huge pages, and the direct map is
# made of small pages. Real POWER9 firmware has the property. So anything about
# huge pages on bare metal is tested with the hash MMU (disable_radix), or on
# pseries.
#
# The machines are made, but never run: the monitor writes their device trees.
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
	APT_CONFIG=$d/apt/conf apt-get -qq -y --download-only install \
		"$2" device-tree-compiler >/dev/null
	for p in "$d"/apt/cache/archives/*.deb; do
		dpkg-deb -x "$p" "$d/root"
	done
	rm -r "$d/apt"
}

# run SUITE PROGRAM ARGUMENTS...
run() {
	local r=$TMP/$1/root program=$2
	shift 2
	"$r"/usr/lib64/ld-linux-x86-64.so.2 --library-path \
		"$r/usr/lib/x86_64-linux-gnu:$r/lib/x86_64-linux-gnu:$r/usr/lib/x86_64-linux-gnu/pulseaudio" \
		"$r/usr/bin/$program" "$@"
}

# tree SUITE MACHINE CPU: make $TMP/dtb
tree() {
	run "$1" qemu-system-ppc64 -L "$TMP/$1/root/usr/share/qemu" \
		-L "$TMP/$1/root/usr/share/seabios" \
		-L "$TMP/$1/root/usr/lib/x86_64-linux-gnu/qemu" \
		-M "$2" ${3:+-cpu "$3"} -nodefaults -display none -S \
		-monitor stdio >/dev/null <<-EOF
		dumpdtb $TMP/dtb
		quit
	EOF
}

# The radix bit is bit 0 of byte 40; two bytes of another kind stand before.
radix() {
	run "$1" fdtget -t bx dtb "$2" ibm,pa-features |
		awk '{ print $(2 + 40 + 1) == "80" ? "radix" : "no radix" }'
}

sizes() {
	run "$1" fdtget -p dtb "$2" |
		grep -c '^ibm,processor-radix-AP-encodings$' || true
}

fail() { echo "CHANGED: $*"; exit 1; }

look() {
	local suite=$1 machine=$2 cpu=$3 wanted=$4 node got
	tree "$suite" "$machine" "$cpu"
	node=/cpus/$(run "$suite" fdtget -l dtb /cpus | grep -m1 '^PowerPC')
	got="$(radix "$suite" "$node"), $(sizes "$suite" "$node") lists of page sizes"
	echo "$(run "$suite" qemu-system-ppc64 --version | head -n 1): $machine: $got"
	[ "$got" = "$wanted" ] || fail "$machine of $suite: $got"
}

unpack trixie qemu-system-ppc=1:10.0.13+ds-0+deb13u1
unpack sid qemu-system-ppc=1:11.1.3+ds-1
for suite in trixie sid; do
	look $suite powernv9 '' 'radix, 0 lists of page sizes'
	look $suite powernv10 '' 'radix, 0 lists of page sizes'
	look $suite pseries power9 'radix, 1 lists of page sizes'
done
