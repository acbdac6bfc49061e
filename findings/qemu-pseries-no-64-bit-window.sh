#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# QEMU 7.2.22 (Debian 12, qemu-system-ppc 1:7.2+dfsg-7+deb12u18+b3) reports to a
# pseries guest without room for more memory (no maxmem=) that memory ends at 0: the
# first cells of ibm,lrdr-capacity. Linux 6.1.176 (Debian 12) looked at its memory as
# well. Linux 6.12.107 (Debian 13) goes by that property alone, asks for a DMA window
# of 2^0 bytes ("create-pe-dma-window(2027) 0 8000000 20000000 18 0 returned -3"), and
# uses the 32-bit window of 1 GiB: each I/O is two hypercalls. With "slots=1,maxmem="
# the property is right, and in QEMU 10.0.13 (Debian 13) also without.
#
# So a guest that is upgraded to Debian 13 on a host that is not loses its 64-bit
# window, and with VFIO all that made its disk fast. A property
# linux,direct64-ddr-window-info in the guest's /proc/device-tree/pci* says that the
# window is there.
#
# A kernel and the driver of an NVMe disk, which asks for the window, are booted four
# times (TCG, 10 seconds each).
#
# Needs: an apt set up for Debian on amd64, xz, 2 GB in TMPDIR.
set -eu -o pipefail

TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
cd "$TMP"

# shellcheck disable=SC2016
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	'Origin: Debian' 'Component: main' | head -n 1)
[ -n "$uri" ] || { echo "this machine is set up for no archive of Debian"; exit 1; }

# apt_of FOLDER SUITE ARCHITECTURE: an apt of its own
apt_of() {
	mkdir -p "$1"/apt/lists/partial "$1"/apt/cache/archives/partial "$1/root"
	: >"$1/apt/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $2 main" \
		>"$1/apt/sources"
	cat >"$1/apt/conf" <<-EOF
		Dir::Etc::sourcelist "$TMP/$1/apt/sources";
		Dir::Etc::sourceparts "-";
		Dir::State "$TMP/$1/apt";
		Dir::State::status "$TMP/$1/apt/status";
		Dir::Cache "$TMP/$1/apt/cache";
		Acquire::Languages "none";
		APT::Architecture "$3";
		APT::Architectures { "$3"; };
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
	EOF
	APT_CONFIG=$1/apt/conf apt-get -qq update
}

# tools SUITE PACKAGE...: with all that they depend on, libc included.
tools() {
	local suite=$1 p
	shift
	apt_of "$suite" "$suite" amd64
	APT_CONFIG=$suite/apt/conf apt-get -qq -y --download-only install "$@" >/dev/null
	for p in "$suite"/apt/cache/archives/*.deb; do
		dpkg-deb -x "$p" "$suite/root"
	done
	rm -r "$suite/apt"
}

# unpack FOLDER SUITE PACKAGE...: of ppc64el, alone
unpack() {
	local to=$1 p
	apt_of "$to" "$2" ppc64el
	shift 2
	(cd "$to/apt" && APT_CONFIG=conf apt-get -qq download "$@")
	for p in "$to"/apt/*.deb; do
		dpkg-deb -x "$p" "$to/root"
	done
	rm -r "$to/apt"
}

# run SUITE PROGRAM ARGUMENTS...
run() {
	local r=$TMP/$1/root program=$2
	shift 2
	"$(find "$r/lib64" "$r/usr/lib64" -name ld-linux-x86-64.so.2 2>/dev/null |
		head -n 1)" --library-path \
		"$r/usr/lib/x86_64-linux-gnu:$r/lib/x86_64-linux-gnu:$r/usr/lib/x86_64-linux-gnu/pulseaudio" \
		"$r/usr/bin/$program" "$@"
}

# image FOLDER MODULE...: a kernel, and an initramfs that loads these in this order
image() {
	local to=$1 m f
	shift
	cp "$to"/root/boot/vmlinux-* "$to/vmlinux"
	mkdir -p "$to/ird/bin"
	cp guest/root/bin/busybox "$to/ird/bin"
	{
		echo '#!/bin/busybox sh'
		echo 'busybox mkdir /proc; busybox mount -t proc none /proc'
		echo 'busybox mkdir /sys; busybox mount -t sysfs none /sys'
		for m; do
			f=$(find "$to/root" -name "$m.ko*")
			case $f in
			*.xz) xz -dc "$f" ;;
			*) cat "$f" ;;
			esac >"$to/ird/$m.ko"
			echo "busybox insmod /$m.ko"
		done
		cat <<-'EOF'
		i=0
		while [ ! -e /sys/block/nvme0n1 ] && [ $((i += 1)) -lt 120 ]; do
			busybox sleep 1
		done
		set -- /proc/device-tree/pci*/linux,direct64-ddr-window-info
		[ -e "$1" ] && window=one || window=no
		[ -e /sys/block/nvme0n1 ] || window="no disk, $window"
		end=$(busybox hexdump -n 8 -e '8/1 "%02x"' /proc/device-tree/rtas/ibm,lrdr-capacity)
		echo "answer: memory ends at 0x$end, $window window of 64 bits"
		busybox poweroff -f
		EOF
	} >"$to/ird/init"
	chmod +x "$to/ird/init"
	(cd "$to/ird" && find . | run trixie cpio -o -H newc --quiet) >"$to/initramfs"
	rm -r "$to/root" "$to/ird"
}

# boot SUITE KERNEL MEMORY
boot() {
	local r=$TMP/$1/root
	run "$1" qemu-system-ppc64 -L "$r/usr/share/qemu" -L "$r/usr/share/seabios" \
		-L "$r/usr/lib/x86_64-linux-gnu/qemu" -M pseries -m "$3" -nodefaults \
		-display none -serial stdio -no-reboot \
		-drive if=none,id=disk,format=raw,file=disk \
		-device nvme,serial=1,drive=disk -kernel "$2/vmlinux" \
		-initrd "$2/initramfs" -append "console=hvc0 quiet panic=-1" \
		</dev/null 2>&1 | tr -d '\r' >console
	sed -n 's/.*answer: //p' console
}

# look SUITE KERNEL MEMORY WANTED
look() {
	local got
	got=$(boot "$1" "$2" "$3")
	echo "QEMU of $1, Linux $2, -m $3: $got"
	[ "$got" = "$4" ] || { echo "CHANGED: $1, $2, $3: $got"; tail console; exit 1; }
}

tools bookworm qemu-system-ppc=1:7.2+dfsg-7+deb12u18+b3
tools trixie qemu-system-ppc=1:10.0.13+ds-0+deb13u1 cpio
unpack guest bookworm busybox-static=1:1.35.0-4+deb12u1+b1
unpack 6.1.176 bookworm linux-image-6.1.0-50-powerpc64le=6.1.176-1
unpack 6.12.107 trixie linux-image-6.12.107+deb13-powerpc64le-64k=6.12.107-1
image 6.1.176 crct10dif_common crc-t10dif crc64 crc64-rocksoft t10-pi nvme-core nvme
image 6.12.107 nvme-auth nvme-core nvme
truncate -s 16M disk

NO="no window of 64 bits" ONE="one window of 64 bits"
look bookworm 6.1.176 1G "memory ends at 0x0000000000000000, $ONE"
look bookworm 6.12.107 1G "memory ends at 0x0000000000000000, $NO"
look bookworm 6.12.107 1G,slots=1,maxmem=2G "memory ends at 0x0000000080000000, $ONE"
look trixie 6.12.107 1G "memory ends at 0x0000000040000000, $ONE"
