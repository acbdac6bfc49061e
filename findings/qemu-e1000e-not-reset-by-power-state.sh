#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# QEMU 10.0.13 and 11.1.3 (Debian qemu-system-x86 1:10.0.13+ds-0+deb13u1 and
# 1:11.1.3+ds-1): a power cycle by the PCI power management capability does not
# reset the e1000e, and goes on receiving.
#
# Its PMCSR says that D3hot to D0 is a reset (No_Soft_Reset is 0), and there is no
# function level reset. So Linux resets it that way before any other, also when
# VFIO takes the card from a process that was killed. But the registers stay: with
# RCTL.EN the card still owns the receive ring of that process, and uses it from the
# moment at which the next driver sets Bus Master Enable until that driver resets
# the card by its own register. The addresses are then those of the next owner: on
# POWER the 64-bit window of a guest and the bypass window of the host both start
# at 2^59, so frames and descriptors land in whatever is at these addresses of the
# host. A reset of the bus does reset the card: write "bus" to its reset_method.
#
# The card is only asked by its registers; no guest runs.
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

cat >ask.py <<'EOF'
import subprocess, sys

q = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                     text=True)

def ask(line):
    q.stdin.write(line + "\n")
    q.stdin.flush()
    while True:
        answer = q.stdout.readline()
        if answer == "":
            sys.exit("QEMU has ended")
        if answer.startswith("OK"):
            return int((answer.split() + ["0"])[1], 0)

PORT = 0x80000000 | 3 << 11

def config(reg, value=None):
    ask(f"outl 0xcf8 {PORT | (reg & ~3):#x}")
    if value is None:
        return ask("inl 0xcfc")
    ask(f"outl 0xcfc {value:#x}")

def capability(wanted):
    at = config(0x34) & 0xfc
    while at:
        word = config(at)
        if word & 0xff == wanted:
            return at
        at = word >> 8 & 0xfc
    sys.exit(f"no capability {wanted:#x}")

BAR = 0xe0000000
RCTL = BAR + 0x100

assert config(0) == 0x10d38086, "no 82574L"
config(0x10, BAR)
config(4, 2)                        # memory; it is not a bus master
pm, express = capability(1), capability(0x10)
ask(f"writel {RCTL:#x} 2")          # receive
no_soft_reset = config(pm + 4) >> 3 & 1
config(pm + 4, 3)                   # D3hot
config(pm + 4, 0)                   # D0
config(0x10, BAR)
config(4, 2)
flr = config(express + 4) >> 28 & 1
print(f"FLR {flr}, No_Soft_Reset {no_soft_reset}, after D3hot and D0 "
      f"RCTL.EN is {ask(f'readl {RCTL:#x}') >> 1 & 1}")
q.kill()
EOF

# look SUITE
look() {
	local r=$TMP/$1/root got
	got=$(python3 ask.py "$r"/usr/lib64/ld-linux-x86-64.so.2 --library-path \
		"$r/usr/lib/x86_64-linux-gnu:$r/lib/x86_64-linux-gnu:$r/usr/lib/x86_64-linux-gnu/pulseaudio" \
		"$r/usr/bin/qemu-system-x86_64" -L "$r/usr/share/qemu" \
		-L "$r/usr/share/seabios" -M q35 -nodefaults -display none \
		-device e1000e,addr=3,romfile= -S -qtest stdio \
		-qtest-log /dev/null)
	echo "$1: $got"
	[ "$got" = "FLR 0, No_Soft_Reset 0, after D3hot and D0 RCTL.EN is 1" ] ||
		{ echo "CHANGED: $1: $got"; exit 1; }
}

unpack trixie qemu-system-x86=1:10.0.13+ds-0+deb13u1
unpack sid qemu-system-x86=1:11.1.3+ds-1
look trixie
look sid
