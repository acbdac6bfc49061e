#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# QEMU 10.0.13 and 11.1.3 (Debian qemu-system-ppc 1:10.0.13+ds-0+deb13u1 and
# 1:11.1.3+ds-1): a pseries guest cannot boot from an NVMe disk, and nothing says so
# before it runs. "-device nvme,bootindex=0" is taken, the firmware (SLOF) is to
# boot from it, finds its node, has no driver for it, and says "E3404: Not a bootable
# device!" to a disk from which it boots by virtio.
#
# So a guest that gets an NVMe disk by VFIO needs something else to start from: its
# kernel by -kernel, or a small disk of another kind with the boot loader.
#
# The disk has a boot partition with a program of four instructions, which has the
# firmware print a line.
#
# Needs: an apt set up for Debian on amd64, python3, 1 GB in TMPDIR.
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
	APT_CONFIG=$d/apt/conf apt-get -qq -y --download-only install "$2" >/dev/null
	for p in "$d"/apt/cache/archives/*.deb; do
		dpkg-deb -x "$p" "$d/root"
	done
	rm -r "$d/apt"
}

# A boot partition (type 0x41) at sector 2048, which holds an ELF program for 32 bits,
# big-endian: the firmware's entry is in r5, r3 gets the arguments of its "interpret".
cat >disk.py <<'EOF'
from struct import pack

LOAD, SECTOR, START, SECTORS = 0x200000, 512, 2048, 2048
HEADERS = 52 + 32
code = pack(">IIIII", 0x3c600000 | LOAD >> 16,          # lis   r3,LOAD@h
            0x60630000 | HEADERS + 20,                  # ori   r3,r3,arguments
            0x7ca903a6, 0x4e800421, 0x48000000)         # mtctr r5; bctrl; b .
text = LOAD + HEADERS + 40
arguments = pack(">IIIII", text, 1, 1, text + 10, 0)
program = (code + arguments + b"interpret\0" +
           b'." The program has started" cr\0')
elf = (b"\x7fELF\1\2\1" + bytes(9) +
       pack(">HHIIIIIHHHHHH", 2, 20, 1, LOAD + HEADERS, 52, 0, 0, 52, 32, 1, 0, 0, 0) +
       pack(">IIIIIIII", 1, 0, LOAD, LOAD, HEADERS + len(program),
            HEADERS + len(program), 7, 4) + program)
with open("disk", "wb") as disk:
    disk.truncate((START + SECTORS) * SECTOR)
    disk.seek(446)
    disk.write(pack("<B3sB3sII", 0x80, b"\xff\xff\xff", 0x41, b"\xff\xff\xff",
                    START, SECTORS))
    disk.seek(510)
    disk.write(b"\x55\xaa")
    disk.seek(START * SECTOR)
    disk.write(elf)
EOF
python3 disk.py

# boot SUITE DEVICE: what the firmware says of this device
boot() {
	local r=$TMP/$1/root
	mkfifo console
	"$r"/usr/lib64/ld-linux-x86-64.so.2 --library-path \
		"$r/usr/lib/x86_64-linux-gnu:$r/lib/x86_64-linux-gnu:$r/usr/lib/x86_64-linux-gnu/pulseaudio" \
		"$r/usr/bin/qemu-system-ppc64" -L "$r/usr/share/qemu" \
		-L "$r/usr/share/seabios" -M pseries -nodefaults -display none \
		-serial stdio -no-reboot -drive if=none,id=disk,format=raw,file=disk \
		-device "$2,drive=disk,bootindex=0" </dev/null >console 2>err &
	timeout 300 sed -n '/The program has started/ { s/.*/started/p; q }
		/E340[0-9]/ { s/.*\(E340[0-9].*[a-z!]\).*/\1/p; q }' <console || true
	kill $! 2>>err || true
	wait $! 2>>err || true
	rm console
}

# look SUITE DEVICE WANTED
look() {
	local got
	got=$(boot "$1" "$2")
	echo "$1: ${2%%,*}: $got"
	[ "$got" = "$3" ] || { echo "CHANGED: $1, $2: $got $(cat err)"; exit 1; }
}

unpack trixie qemu-system-ppc=1:10.0.13+ds-0+deb13u1
unpack sid qemu-system-ppc=1:11.1.3+ds-1
for suite in trixie sid; do
	look $suite virtio-blk-pci started
	look $suite nvme,serial=1 "E3404: Not a bootable device!"
done
