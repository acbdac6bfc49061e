#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The Rust libraries for VFIO that Debian has for ppc64el call other ioctls than those
# of the kernel: pci-driver 0.1.3 (librust-pci-driver-dev 0.1.3-1+b2), which drives
# PCI devices by VFIO, and vmm-sys-util 0.15.0 (librust-vmm-sys-util-dev 0.15.0-4), of
# which virtual machine monitors take their ioctls. VFIO_GET_API_VERSION is 0x20003b64
# on powerpc, they make it 0x3b64. libblkio 1.5.0 (libblkio1 1.5.0-8+b2) has pci-driver
# in it: what QEMU (qemu-block-extra) and nbdkit offer as virtio-blk-vfio-pci.
#
# The direction "none" is 1 on powerpc and has 3 bits above a size of 13; it is 0 with
# 2 bits above 14 on most others, and the libraries have the latter for all. They
# compile without a word, and on POWER no call of theirs reaches VFIO. All of VFIO's
# numbers are of that kind, so who writes a client in another language than C should
# look at this one first.
#
# The libraries' files of the ppc64el packages are compiled for powerpc64le, and the
# number is read from the code, as it is from libblkio's; that of the kernel is from
# linux/vfio.h.
#
# Needs: an apt set up for Debian on amd64, gcc, 2 GB in TMPDIR.
set -eu -o pipefail

TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
cd "$TMP"

# shellcheck disable=SC2016
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	'Origin: Debian' 'Component: main' | head -n 1)
[ -n "$uri" ] || { echo "this machine is set up for no archive of Debian"; exit 1; }

# unpack FOLDER SUITE ARCHITECTURE HOW PACKAGE=VERSION...
unpack() {
	local to=$TMP/$1 p
	mkdir -p "$to"/apt/lists/partial "$to"/apt/cache/archives/partial "$to/root"
	: >"$to/apt/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $2 main" \
		>"$to/apt/sources"
	cat >"$to/apt/conf" <<-EOF
		Dir::Etc::sourcelist "$to/apt/sources";
		Dir::Etc::sourceparts "-";
		Dir::State "$to/apt";
		Dir::State::status "$to/apt/status";
		Dir::Cache "$to/apt/cache";
		Acquire::Languages "none";
		APT::Architecture "$3";
		APT::Architectures { "$3"; };
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
	EOF
	APT_CONFIG=$to/apt/conf apt-get -qq update
	if [ "$4" = alone ]; then
		(cd "$to/apt/cache/archives" &&
			APT_CONFIG=$to/apt/conf apt-get -qq download "${@:5}")
	else
		APT_CONFIG=$to/apt/conf apt-get -qq -y --download-only install \
			"${@:5}" >/dev/null
	fi
	for p in "$to"/apt/cache/archives/*.deb; do
		dpkg-deb -x "$p" "$to/root"
	done
	rm -r "$to/apt"
}

unpack tools trixie amd64 whole rustc=1.85.1+dfsg1-1+deb13u1
unpack std trixie ppc64el alone libstd-rust-dev=1.85.1+dfsg1-1+deb13u1
unpack libraries sid ppc64el alone librust-pci-driver-dev=0.1.3-1+b2 \
	librust-vmm-sys-util-dev=0.15.0-4 linux-libc-dev=7.2.13-1 libblkio1=1.5.0-8+b2
crates=$TMP/libraries/root/usr/share/cargo/registry

rust() {
	local r=$TMP/tools/root
	"$r/usr/lib64/ld-linux-x86-64.so.2" --library-path \
		"$r/usr/lib/x86_64-linux-gnu:$r/usr/lib" "$r/usr/bin/rustc" \
		--sysroot "$TMP/std/root/usr" --target powerpc64le-unknown-linux-gnu \
		--edition 2018 --crate-type lib -C opt-level=2 -A warnings "$@"
}

# The types that the two take from the crate libc.
cat >libc.rs <<'EOF'
#![allow(non_camel_case_types)]
pub type c_char = u8;
pub type c_int = i32;
pub type c_ulong = u64;
pub type c_void = core::ffi::c_void;

extern "C" {
    pub fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
}
EOF
cat >pci_driver.rs <<EOF
mod backends {
    pub mod vfio {
        #[path = "$crates/pci-driver-0.1.3/src/backends/vfio/bindings.rs"]
        pub mod bindings;
        #[path = "$crates/pci-driver-0.1.3/src/backends/vfio/ioctl.rs"]
        pub mod ioctl;
    }
}

#[no_mangle]
pub unsafe fn call(fd: i32) -> bool {
    backends::vfio::ioctl::vfio_get_api_version(fd).is_ok()
}
EOF
cat >vmm_sys_util.rs <<EOF
#[macro_use]
#[path = "$crates/vmm-sys-util-0.15.0/src/linux/ioctl.rs"]
pub mod ioctl;

ioctl_io_nr!(VFIO_GET_API_VERSION, 0x3b, 100);

#[no_mangle]
pub unsafe fn call(fd: i32) -> bool {
    libc::ioctl(fd, VFIO_GET_API_VERSION() as u64) == 0
}
EOF
cat >kernel.c <<'EOF'
#include <linux/vfio.h>

unsigned long number = VFIO_GET_API_VERSION;
EOF
rust --emit=metadata -o liblibc.rmeta libc.rs

# requests LIBRARY: what is in r4 where ioctl() is called
requests() {
	rust --emit=asm --extern libc=liblibc.rmeta -o "$1.s" "$1.rs"
	awk '/:$/ { load = "" }
		/^\t(li|lis|ori|oris) 4,/ { load = load " " $0 }
		/^\tbl ioctl$/ { print load; load = "" }' "$1.s" |
		sort -u | tr -s ' \t' ' '
}

# instructions BYTES: how many of libblkio have 0x3b64 and these above it
instructions() {
	LC_ALL=C grep -oUaP "\x64\x3b\x$1" \
		"$TMP"/libraries/root/usr/lib/powerpc64le-linux-gnu/libblkio.so.1 | wc -l
}

# look WHAT GOT WANTED
look() {
	echo "$1: $2"
	[ "$2" = "$3" ] || { echo "CHANGED: $1: $2"; exit 1; }
}

include=$TMP/libraries/root/usr/include
number=$(gcc -S -o - -nostdinc -I"$include/powerpc64le-linux-gnu" -I"$include" \
	kernel.c | awk '$1 == ".quad" { printf "%#x", $2 }')
look "linux/vfio.h" "$number" 0x20003b64
look "pci-driver, at the call of ioctl()" "$(requests pci_driver)" " li 4, $((0x3b64))"
look "vmm-sys-util, at the call of ioctl()" "$(requests vmm_sys_util)" \
	" li 4, $((0x3b64))"
look "libblkio, li 4,0x3b64 and ori 4,4,0x3b64" \
	"$(instructions '80\x38') and $(instructions '84\x60')" "1 and 0"
