#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# bench-disk.sh: count the hypercalls for I/O of a disk that is passed to a
# guest with Debian's kernel, on the base kernel and on the series, in one run.
# The table of docs/figures.md is replaced between its marks.
. "$(dirname "$0")/lib.sh"

DIR=$OUT/bench-disk
DOC=$ROOT/docs/figures.md
BEGIN_MARK='<!-- disk: written by make bench-disk -->'
END_MARK='<!-- end of disk -->'
DEFAULT="powernv9-kvm powernv8-kvm pseries-kvm-sid"

build_all() {
	local m k
	"$HARNESS/debian-packages.sh" busybox busybox-static >/dev/null
	"$HARNESS/selftests.sh" >/dev/null
	for k in stock series; do
		"$HARNESS/kernel.sh" $k >/dev/null
		"$HARNESS/initramfs.sh" $k >/dev/null
		for m in $(machines "$DEFAULT"); do
			"$HARNESS/disk-image.sh" $k "$(disk "$m")" >/dev/null
		done
	done
}

# run_one MACHINE KERNEL: lines "KERNEL MACHINE WINDOW LOAD GUEST HOST REAL" by
# tabs
run_one() {
	local option='' where
	[ "$2" != stock ] || option=-stock
	where=$(TESTS=kvm:io "$HARNESS/run.sh" $option "$1" "$2") ||
		die "$1 $2: see $where/failures"
	sed -n "s/^# io\t/$2\t$1\t/p" "$where/report.log"
}

run_all() {
	local m k
	for m in $(machines "$DEFAULT"); do
		for k in stock series; do
			say "  $m $k"
			run_one "$m" $k
		done
	done
}

# Base and series side by side; a host without a hypervisor makes no hypercalls.
table() {
	awk -F'\t' '
	{ key = $2 FS $3 FS $4 }
	$1 == "stock" { guest[key] = $5; host[key] = $6; next }
	key in guest {
		print "| " $2 " | " $3 ", " $4 " | " guest[key] " / " $5 " | " \
		      ($6 == "" ? "none" : host[key] " / " $6) " | " \
		      ($7 == "" ? "" : $7 " %") " |"
	}' "$1"
}

section() {
	echo "$BEGIN_MARK"
	echo "| host | window and I/O | of the guest | of the host |" \
		"in real mode |"
	echo "| --- | --- | --- | --- | --- |"
	table "$1"
	echo "$END_MARK"
}

mkdir -p "$DIR"
grep -qxF -e "$BEGIN_MARK" "$DOC" && grep -qxF -e "$END_MARK" "$DOC" ||
	die "$DOC has not both of the lines $BEGIN_MARK and $END_MARK"
build_all
run_all >"$DIR/disk.tsv"
section "$DIR/disk.tsv" | tee "$DIR/section"
if [ -n "$MACHINES" ]; then
	say "a part of the machines only: $DOC stays as it is"
	exit
fi
awk -v begin="$BEGIN_MARK" -v end="$END_MARK" -v section="$DIR/section" '
	$0 == begin { while ((getline line <section) > 0) print line; skip = 1 }
	!skip
	$0 == end { skip = 0 }' "$DOC" >"$DIR/figures.md"
cat "$DIR/figures.md" >"$DOC"
say "$DOC has the new table"
