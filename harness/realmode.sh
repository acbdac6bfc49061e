#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Test the check of calls in real mode: harness/realmode/CASE has code, a
# list for the check, and in `expect` what it must say of the two. There may be
# options for the compiler in `cflags` and for the check in `args`.
# With -u the expectations are replaced (read the diff before you keep it).
. "$(dirname "$0")/lib.sh"

CASES=$HARNESS/realmode
CHECK=$ROOT/arch/powerpc/tools/realmode_check.sh
CFLAGS="-O2 -m64 -mlittle-endian -mabi=elfv2 -mcmodel=medium -mcpu=power8
	-ffreestanding -fno-pie -fno-stack-protector
	-fno-asynchronous-unwind-tables -Wall -Werror"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

option() { cat "$CASES/$1/$2" 2>/dev/null || true; }

compile() {
	local c
	for c in "$CASES/$1"/*.c; do
		[ -f "$c" ] || continue
		# shellcheck disable=SC2046,SC2086
		"${CROSS}gcc" $CFLAGS $(option "$1" cflags) -c "$c" \
			-o "$WORK/$1/$(basename "$c" .c).o"
	done
}

# check CASE AWK: what is said of it, in the order of no awk.
check() (
	local rc=0
	cd "$WORK/$1"
	# shellcheck disable=SC2046
	PATH=$WORK/$2:$PATH sh "$CHECK" $(option "$1" args) "${CROSS}objdump" \
		list . >said 2>&1 || rc=$?
	echo "exit $rc"
	sort said
)

# An awk of that name before all others.
for awk in mawk gawk; do
	if have $awk; then
		mkdir "$WORK/$awk"
		ln -s "$(command -v $awk)" "$WORK/$awk/awk"
	fi
done

for path in "$CASES"/*/; do
	name=$(basename "$path")
	mkdir "$WORK/$name"
	[ ! -f "$path/list" ] || cp "$path/list" "$WORK/$name"
	compile "$name"
	if [ "${1:-}" = -u ]; then
		check "$name" mawk >"$path/expect"
		continue
	fi
	for awk in mawk gawk; do
		[ -d "$WORK/$awk" ] || continue
		if check "$name" $awk |
		   diff -u "$path/expect" - >"$WORK/diff"; then
			printf 'PASS\trealmode:%s\t%s\t\n' $awk "$name"
		else
			printf 'FAIL\trealmode:%s\t%s\t\n' $awk "$name"
			sed 1,2d "$WORK/diff"
		fi
	done
done
for awk in mawk gawk; do
	[ -d "$WORK/$awk" ] || [ "${1:-}" = -u ] ||
		printf 'SKIP\trealmode:%s\tall cases\tapt install %s\n' \
			$awk $awk
done
