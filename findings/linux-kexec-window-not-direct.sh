#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Linux 6.12.107 and 7.2.13 (Debian 13 and sid, linux-image-6.12.107+deb13-powerpc64le-64k
# 6.12.107-1 and linux-binary-7.2.13+deb14-powerpc64le-64k 7.2.13-1) as a pseries guest
# that was started by kexec: the 64-bit DMA window is no longer what it was. The kernel
# that the firmware has started maps all its memory there at boot, and 64 reads of an
# NVMe disk are 0 hypercalls. The kernel that kexec starts next finds the window, and
# maps and unmaps each I/O in it: 128 hypercalls. Nothing looks different: the property
# is still named linux,direct64-ddr-window-info. The log has "direct mapping: 0".
#
# The kernel takes each window that it finds at its start for one that a crash kernel
# may only borrow (find_existing_ddw_windows_named()), but every kexec comes that way.
# So a guest that is rebooted by "systemctl kexec" pays two hypercalls for each I/O of a
# disk that is passed through, until the firmware starts it again.
#
# Each kernel is booted by QEMU 11.1.3 (TCG), reads, starts itself by kexec, and reads
# again. The hypercalls are counted by its own tracing.
#
# Needs: an apt set up for Debian on amd64, xz, 3 GB in TMPDIR.
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

# load KERNEL FOLDER MODULE...: copies them and what they need, says how to load them
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
		echo "busybox insmod /$m.ko"
	done
}

# initramfs NAME KERNEL MODULE...: with the commands on standard input
initramfs() {
	local to=ird-$1 kernel=$2
	mkdir -p "$to/bin" "$1"
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
	(cd "$to" && find . | run cpio -o -H newc --quiet) >"$1/initramfs"
	rm -r "$to"
}

unpack tools sid amd64 whole qemu-system-ppc=1:11.1.3+ds-1 cpio
unpack guest bookworm ppc64el alone busybox-static=1:1.35.0-4+deb12u1+b1
unpack kexec sid ppc64el alone kexec-tools=1:2.0.32-3 libc6
unpack 6.12.107 trixie ppc64el alone linux-image-6.12.107+deb13-powerpc64le-64k=6.12.107-1
unpack 7.2.13 sid ppc64el alone linux-binary-7.2.13+deb14-powerpc64le-64k=7.2.13-1 \
	linux-modules-7.2.13+deb14-powerpc64le-64k=7.2.13-1
truncate -s 16M disk

# Result of each kernel: 64 reads of the disk, with the hypercalls that write TCEs
# (H_PUT_TCE, H_STUFF_TCE, H_PUT_TCE_INDIRECT) traced.
cat >reads <<'EOF'
i=0
while [ ! -e /dev/nvme0n1 ] && [ $((i += 1)) -lt 300 ]; do
	busybox sleep 1
done
busybox mount -t tracefs none /sys/kernel/tracing
hcall=/sys/kernel/tracing/events/powerpc/hcall_entry
echo 'opcode == 0x20 || opcode == 0x138 || opcode == 0x13c' >$hcall/filter
echo 1 >$hcall/enable
busybox dd if=/dev/nvme0n1 of=/dev/null bs=64k count=64 iflag=direct
echo 0 >$hcall/enable
hypercalls=$(busybox grep -c hcall_entry: /sys/kernel/tracing/trace)
window=$(echo /proc/device-tree/pci*/linux,direct64-ddr-window-info)
echo "answer: ${window##*/}, $hypercalls hypercalls"
EOF

# boot LINUX: what both kernels say
boot() {
	local r=$TMP/tools/root
	timeout 900 "$r/usr/lib64/ld-linux-x86-64.so.2" --library-path \
		"$r/usr/lib/x86_64-linux-gnu:$r/usr/lib/x86_64-linux-gnu/pulseaudio" \
		"$r/usr/bin/qemu-system-ppc64" -L "$r/usr/share/qemu" \
		-L "$r/usr/share/seabios" -M pseries -m 2G -nodefaults -vga none \
		-display none -serial stdio -no-reboot \
		-drive if=none,id=disk,format=raw,file=disk \
		-device nvme,serial=1,drive=disk -kernel "$1/vmlinux" \
		-initrd first/initramfs -append "console=hvc0 quiet panic=-1" \
		</dev/null 2>&1 | tr -d '\r' >console || true
	{ grep -o 'answer: .*' console || true; } | sed 's/answer: //' | paste -sd';'
}

DIRECT=linux,direct64-ddr-window-info

# look LINUX WANTED: "N" stands for 128 and more hypercalls
look() {
	local got
	rm -rf second first
	find "$1/root" -name 'vmlinu[xz]*' -type f -exec mv {} "$1/vmlinux" \;
	initramfs second "$1" nvme <reads
	mkdir -p ird-first/lib64 ird-first/lib
	cp "$1/vmlinux" ird-first
	cp second/initramfs ird-first/second
	cp "$(find kexec/root -name kexec -type f -path '*sbin*')" ird-first
	cp "$(find kexec/root -name 'ld64.so.2' | head -n 1)" ird-first/lib64
	cp "$(find kexec/root -name libc.so.6)" ird-first/lib
	initramfs first "$1" nvme <<-EOF
	$(cat reads)
	/kexec -l /vmlinux --initrd=/second --append="console=hvc0 quiet panic=-1"
	/kexec -e
	EOF
	got=$(boot "$1")
	echo "Linux $1, started by the firmware and then by kexec: $got"
	got=$(echo "$got" | sed -E 's/(12[89]|1[3-9][0-9]|[2-9][0-9]{2}|[0-9]{4,}) hyper/N hyper/g')
	[ "$got" = "$2" ] || { echo "CHANGED: $1: $got"; tail -n 30 console; exit 1; }
	rm -r "$1"
}

look 6.12.107 "$DIRECT, 0 hypercalls;$DIRECT, N hypercalls"
look 7.2.13 "$DIRECT, 0 hypercalls;$DIRECT, N hypercalls"
