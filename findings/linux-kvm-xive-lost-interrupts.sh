#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Linux 6.12.107 (Debian 13, linux-image-6.12.107+deb13-powerpc64le-64k 6.12.107-1) as
# a KVM host on POWER9: a guest with Linux 7.2.13 (Debian sid) gets no interrupt of a
# disk that is passed through. It says
#
#	xive: xive: got interrupt 4864 without descriptor, dropping
#
# with a warning, and each command times out after 60 seconds. The guest with Linux
# 6.12.107 reads the same disk immediately, on the same host with the same QEMU 11.1.3.
#
# KVM routes the interrupt of the device to the guest with the number of its source
# (kvmppc_xive_set_mapped()). The guest looks for the event number that it has given by
# H_INT_SET_SOURCE_CONFIG; one that has given it before gets the wrong number. 7.2 seems
# to do so, 6.12 does not. A guest that is upgraded loses its disks then. Parameter
# kvm_irq_bypass=0 of the host's module kvm_hv helps: interrupts go by QEMU.
#
# An emulated POWER9 is the host, its NVMe disk is passed to one guest after the
# other. 3 to 15 minutes.
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
unpack host sid ppc64el whole qemu-system-ppc=1:11.1.3+ds-1
unpack guest bookworm ppc64el alone busybox-static=1:1.35.0-4+deb12u1+b1
unpack 6.12.107 trixie ppc64el alone linux-image-6.12.107+deb13-powerpc64le-64k=6.12.107-1
unpack 7.2.13 sid ppc64el alone linux-binary-7.2.13+deb14-powerpc64le-64k=7.2.13-1 \
	linux-modules-7.2.13+deb14-powerpc64le-64k=7.2.13-1
mv 6.12.107/root/boot/vmlinux-* 6.12.107/vmlinux
mv 7.2.13/root/usr/lib/modules/*/vmlinuz 7.2.13/vmlinux

for d in bin lib lib64; do
	[ -e "host/root/$d" ] || ln -s "usr/$d" "host/root/$d"
done
mkdir -p host/root/{proc,sys,dev,tmp}
for v in 6.12.107 7.2.13; do
	mkdir "host/root/$v"
	cp "$v/vmlinux" "host/root/$v"
	initramfs "host/root/$v/initramfs" "$v" nvme <<-'EOF'
	i=0
	while [ ! -e /dev/nvme0n1 ] && [ $((i += 1)) -lt 300 ]; do
		busybox sleep 1
	done
	busybox dd if=/dev/nvme0n1 of=/dev/null bs=64k count=8 &&
		echo "answer: has read the disk"
	EOF
done
initramfs initramfs 6.12.107 virtio_blk ext4 crc32c_generic kvm_hv vfio_pci \
	vfio_iommu_spapr_tce <<'EOF'
busybox mkdir /r
busybox mount -t ext4 -o ro /dev/vda /r
busybox mount -t proc none /r/proc
busybox mount -t sysfs none /r/sys
busybox mount -t devtmpfs none /r/dev
busybox mount -t tmpfs none /r/tmp
for d in /sys/bus/pci/devices/*; do
	read -r class <$d/class
	[ $class != 0x010802 ] || disk=${d##*/}
done
echo vfio-pci >/sys/bus/pci/devices/$disk/driver_override
echo $disk >/sys/bus/pci/drivers_probe
for guest in $(echo $guests | busybox tr , " "); do
	busybox chroot /r qemu-system-ppc64 -accel kvm -cpu host -m 768M -nodefaults \
		-M pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off \
		-vga none -display none -serial stdio -no-reboot \
		-kernel /$guest/vmlinux -initrd /$guest/initramfs \
		-append "console=hvc0 quiet panic=-1" -device vfio-pci,host=$disk \
		</dev/null >/out 2>&1 &
	i=0
	until answer=$(busybox grep -oE 'has read the disk|without descriptor' /out) ||
		[ $((i += 1)) -gt 600 ]; do
		busybox sleep 1
	done
	busybox kill -9 $!
	wait $!
	[ "$answer" ] || busybox tail /out
	echo "Linux $guest: $answer" | busybox head -n 1
done
EOF
rm -r 6.12.107/root 7.2.13
truncate -s 16M disk
truncate -s 700M system
mke2fs -q -t ext4 -O ^metadata_csum -d host/root system
rm -r host

# host GUESTS OPTIONS: what the guests say
host() {
	local r=$TMP/tools/root
	timeout 1800 "$r/usr/lib64/ld-linux-x86-64.so.2" --library-path \
		"$r/usr/lib/x86_64-linux-gnu:$r/usr/lib/x86_64-linux-gnu/pulseaudio" \
		"$r/usr/bin/qemu-system-ppc64" -L "$r/usr/share/qemu" -M powernv9 -m 3G -smp 2 \
		-net none -vga none -display none -serial stdio -no-reboot \
		-drive if=none,id=system,format=raw,file=system,snapshot=on \
		-device virtio-blk-pci,drive=system,bus=pcie.1 \
		-drive if=none,id=disk,format=raw,file=disk,snapshot=on \
		-device nvme,serial=1,drive=disk,bus=pcie.0 \
		-kernel 6.12.107/vmlinux -initrd initramfs \
		-append "console=hvc0 quiet panic=-1 guests=$1 $2" \
		</dev/null 2>&1 | tr -d '\r' >console || true
	{ grep -oE 'Linux [0-9.]+: .+' console || true; } | paste -sd';'
}

# look GUESTS OPTIONS WANTED
look() {
	local got
	got=$(host "$1" "$2")
	echo "host 6.12.107 $2: $got"
	[ "$got" = "$3" ] || { echo "CHANGED: $got"; tail -n 30 console; exit 1; }
}

look 6.12.107,7.2.13 "" \
	"Linux 6.12.107: has read the disk;Linux 7.2.13: without descriptor"
look 7.2.13 kvm_hv=kvm_irq_bypass=0 "Linux 7.2.13: has read the disk"
