#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# QEMU 11.1.3 (Debian sid, qemu-system-ppc 1:11.1.3+ds-1, ppc64el) asks VFIO for a DMA
# window of 0 levels if it runs on a pseries host, where VFIO_IOMMU_SPAPR_TCE_GET_INFO
# says that a table has at most one:
#
#	vfio_spapr_create_window pageshift=0xc levels=0 winsize=0x40000000 offset=0x0
#
# QEMU 7.2.22 (Debian 12, 1:7.2+dfsg-7+deb12u18+b3) asks for one. Linux 6.12.107 gives
# both the same window, because on pseries it refuses nothing but more than one level.
# On bare metal, with more levels to choose from, it refuses 0.
#
# So 0 levels are a part of the interface on pseries, though GET_INFO has no 0 and no
# text says so. Who makes the kernel check VFIO_IOMMU_SPAPR_TCE_CREATE for it ends each
# QEMU that has a device, and no older QEMU shows it.
#
# An emulated pseries host with Debian's kernel starts both QEMUs with an NVMe disk by
# VFIO; the guest is made, but never run.
#
# Needs: an apt set up for Debian on amd64, xz, e2fsprogs, 4 GB in TMPDIR.
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
	mkdir -p "$to"/apt/lists/partial "$to"/apt/cache/archives/partial
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

# run PROGRAM ARGUMENTS...: of amd64
run() {
	local r=$TMP/tools/root program=$1
	shift
	"$r/usr/lib64/ld-linux-x86-64.so.2" --library-path \
		"$r/usr/lib/x86_64-linux-gnu:$r/usr/lib/x86_64-linux-gnu/pulseaudio" \
		"$r/usr/bin/$program" "$@"
}

# load KERNEL FOLDER MODULE...: copies them and what they need, says how to load them;
# what the command line says of a module are its parameters
load() {
	local kernel=$1 to=$2 m f needs
	shift 2
	for m in "${@//-/_}"; do
		[ ! -e "$to/$m.ko" ] || continue
		f=$(find "$kernel/root" -name "${m//_/[-_]}.ko*")
		[ -n "$f" ] || continue		# built in
		case $f in
		*.xz) xz -dc "$f" ;;
		*) cat "$f" ;;
		esac >"$to/$m.ko"
		needs=$(grep -az '^depends=' "$to/$m.ko" | tr -d '\0')
		# shellcheck disable=SC2046
		load "$kernel" "$to" $(echo "${needs#depends=}" | tr ',' ' ')
		echo "busybox insmod /$m.ko \$$m"
	done
}

# initramfs NAME KERNEL MODULE...: with the commands on standard input
initramfs() {
	local to=ird-$1 kernel=$2
	mkdir -p "$to/bin"
	cp guest/root/bin/busybox "$to/bin"
	{
		echo '#!/bin/busybox sh'
		echo 'busybox mkdir -p /proc /sys /dev'
		echo 'busybox mount -t proc none /proc'
		echo 'busybox mount -t sysfs none /sys'
		echo 'busybox mount -t devtmpfs none /dev'
		load "$kernel" "$to" "${@:3}"
		cat
		echo 'busybox poweroff -f'
	} >"$to/init"
	chmod +x "$to/init"
	(cd "$to" && find . | run cpio -o -H newc --quiet) >"$1"
	rm -r "$to"
}

unpack tools sid amd64 whole qemu-system-ppc=1:11.1.3+ds-1 cpio
unpack new sid ppc64el whole qemu-system-ppc=1:11.1.3+ds-1
unpack old bookworm ppc64el whole qemu-system-ppc=1:7.2+dfsg-7+deb12u18+b3
unpack guest bookworm ppc64el alone busybox-static=1:1.35.0-4+deb12u1+b1
unpack host trixie ppc64el alone linux-image-6.12.107+deb13-powerpc64le-64k=6.12.107-1
mv host/root/boot/vmlinux-* vmlinux

initramfs initramfs host virtio_blk ext4 crc32c_generic vfio_pci vfio_iommu_spapr_tce <<'EOF'
busybox mkdir /r
busybox mount -t ext4 -o ro /dev/vda /r
for d in /sys/bus/pci/devices/*; do
	read -r class <$d/class
	[ $class != 0x010802 ] || disk=${d##*/}
done
echo vfio-pci >/sys/bus/pci/devices/$disk/driver_override
echo $disk >/sys/bus/pci/drivers_probe
for qemu in old new; do
	busybox mount -t proc none /r/$qemu/proc
	busybox mount -t sysfs none /r/$qemu/sys
	busybox mount -t devtmpfs none /r/$qemu/dev
	busybox mount -t tmpfs none /r/$qemu/tmp
	echo quit | busybox chroot /r/$qemu qemu-system-ppc64 -M pseries -m 512M -S \
		-nodefaults -vga none -display none -monitor stdio \
		-device vfio-pci,host=$disk -trace vfio_spapr_create_window >/out 2>&1
	echo "answer: $qemu: exit $?$(busybox grep -o ' levels=[0-9]*' /out)"
	busybox cat /out
done
EOF
mkdir system
for q in old new; do
	mv "$q/root" "system/$q"
	for d in bin lib lib64; do
		[ -e "system/$q/$d" ] || ln -s "usr/$d" "system/$q/$d"
	done
	mkdir -p "system/$q"/{proc,sys,dev,tmp}
done
truncate -s 16M disk
truncate -s 900M image
mke2fs -q -t ext4 -O ^metadata_csum -d system image
rm -r system host

r=$TMP/tools/root
timeout 1800 "$r/usr/lib64/ld-linux-x86-64.so.2" --library-path \
	"$r/usr/lib/x86_64-linux-gnu:$r/usr/lib/x86_64-linux-gnu/pulseaudio" \
	"$r/usr/bin/qemu-system-ppc64" -L "$r/usr/share/qemu" -L "$r/usr/share/seabios" \
	-M pseries -cpu power9 -m 3G -nodefaults -vga none -display none -serial stdio \
	-no-reboot -drive if=none,id=system,format=raw,file=image,snapshot=on \
	-device virtio-blk-pci,drive=system \
	-device spapr-pci-host-bridge,index=1,id=phb1 \
	-drive if=none,id=disk,format=raw,file=disk -device nvme,serial=1,drive=disk,bus=phb1.0 \
	-kernel vmlinux -initrd initramfs -append "console=hvc0 quiet panic=-1" \
	</dev/null 2>&1 | tr -d '\r' >console || true

# look QEMU WHAT WANTED
look() {
	local got
	got=$(sed -n "s/.*answer: $1: //p" console)
	echo "$2: $got"
	[ "$got" = "$3" ] || { echo "CHANGED: $2: $got"; tail -n 40 console; exit 1; }
}

look old "QEMU 7.2.22" "exit 0 levels=1"
look new "QEMU 11.1.3" "exit 0 levels=0"
