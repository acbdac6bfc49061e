#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Debian's kernel 7.2.13-1 (sid, ppc64el, both flavours) is built with UBSAN (bounds
# and shift), that of 6.12.107-1 (Debian 13) was not. On powerpc that also instruments
# the hypercall handlers that KVM runs in real mode on POWER8: 6 of the 18 in
# hcall_real_table call __ubsan_handle_*, among them H_READ, H_PROTECT, H_BULK_REMOVE
# and H_EOI. arch/powerpc/kvm/Makefile keeps KASAN out of all its objects, UBSAN of
# none.
#
# These calls end in code that prints and dumps the stack. Here that happens with the MMU
# off, on a CPU that still has the guest's state, where no code may print. As long as
# nothing is undefined none of it runs; but a report is not what a POWER8 host gets
# from it. A check that real mode reaches only functions that may run there fails with
# this configuration on the kernel's own objects: they need UBSAN_SANITIZE := n.
#
# The table and the calls are read from the kernels; nothing is run.
#
# Needs: an apt set up for Debian, python3, 600 MB in TMPDIR.
set -eu -o pipefail

TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
cd "$TMP"

# shellcheck disable=SC2016
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	'Origin: Debian' 'Component: main' | head -n 1)
[ -n "$uri" ] || { echo "this machine is set up for no archive of Debian"; exit 1; }

mkdir -p apt/lists/partial apt/cache/archives/partial
: >apt/status
for s in trixie sid; do
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $s main"
done >apt/sources
cat >apt/conf <<-EOF
	Dir::Etc::sourcelist "$TMP/apt/sources";
	Dir::Etc::sourceparts "-";
	Dir::State "$TMP/apt";
	Dir::State::status "$TMP/apt/status";
	Dir::Cache "$TMP/apt/cache";
	Acquire::Languages "none";
	APT::Architecture "ppc64el";
	APT::Architectures { "ppc64el"; };
	APT::Sandbox::User "root";
EOF
export APT_CONFIG=$TMP/apt/conf
apt-get -qq update

cat >look.py <<'EOF'
import bisect
import struct
import sys

elf = open(sys.argv[1], "rb").read()
shoff, = struct.unpack_from("<Q", elf, 40)
shentsize, shnum = struct.unpack_from("<HH", elf, 58)
sections = [struct.unpack_from("<IIQQQQIIQQ", elf, shoff + i * shentsize)
            for i in range(shnum)]
SYMTAB, NOBITS, ALLOC, FUNC = 2, 8, 2, 2

addresses, functions = {}, {}
for section in sections:
    if section[1] != SYMTAB:
        continue
    names = sections[section[6]][4]
    for off in range(section[4], section[4] + section[5], 24):
        name, info, _, _, value, size = struct.unpack_from("<IBBHQQ", elf, off)
        name = elf[names + name:elf.index(0, names + name)].decode()
        addresses[name] = value
        if info & 15 == FUNC:
            functions[value] = name, size
starts = sorted(functions)

def word(addr, form="<I"):
    for s in sections:
        if s[2] & ALLOC and s[1] != NOBITS and s[3] <= addr < s[3] + s[5]:
            return struct.unpack_from(form, elf, addr - s[3] + s[4])[0]
    sys.exit(f"nothing is at {addr:#x}")

def function(addr):
    return functions[starts[bisect.bisect(starts, addr) - 1]]

def calls(start):
    for addr in range(start, start + function(start)[1], 4):
        insn = word(addr)
        if insn & 0xfc000003 == 0x48000001:     # bl
            to = insn & 0x3fffffc
            yield function(addr + (to - (to << 1 & 0x4000000)))[0]

table, end = addresses["hcall_real_table"], addresses["hcall_real_table_end"]
handlers = {table + d for a in range(table, end, 4) if (d := word(a, "<i"))}
found = [function(h)[0] for h in handlers
         if any(c.startswith("__ubsan_handle") for c in calls(h))]
report = addresses.get("__ubsan_handle_out_of_bounds")
prints = report and "_printk" in calls(addresses["ubsan_prologue"])
print(f"{len(found)} of {len(handlers)}{', which print' if prints else ''}:",
      *sorted(found))
EOF

# look PACKAGE REVISION WANTED
look() {
	local kernel got
	apt-get -qq download "$1=$2"
	mkdir "$1"
	dpkg-deb --fsys-tarfile "$1"_*.deb |
		tar x -C "$1" --wildcards './boot/vmlinux-*' './usr/lib/modules/*/vmlinuz' \
			2>/dev/null || true
	kernel=$(find "$1" -name 'vmlinu*' -type f)
	[ -n "$kernel" ] || { echo "CHANGED: $1 has no kernel"; exit 1; }
	got=$(python3 look.py "$kernel")
	echo "$2: real mode handlers that call UBSAN: $got"
	[ "$got" = "$3" ] || { echo "CHANGED: $1: $got"; exit 1; }
}

handlers="kvmppc_h_bulk_remove kvmppc_h_clear_mod kvmppc_h_clear_ref kvmppc_h_protect"
handlers="$handlers kvmppc_h_read xics_rm_h_eoi"
look linux-image-6.12.107+deb13-powerpc64le-64k 6.12.107-1 "0 of 18:"
look linux-binary-7.2.13+deb14-powerpc64le-64k 7.2.13-1 "6 of 18, which print: $handlers"
look linux-binary-7.2.13+deb14-powerpc64le 7.2.13-1 "6 of 18, which print: $handlers"
