#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Test the judge of the runs: harness/golden/CASE holds what a run left behind,
# and in `expect` the verdict and the results that check.sh must find in it. Where
# there are figures (`committed`, `measured`) it is their judge that is tested, and
# where there is a small Linux, what is said of a base on which patches do not fit.
# With -u the expectations are written anew (read the diff before you keep it).
. "$(dirname "$0")/lib.sh"

CASES=$HARNESS/golden
mkdir -p "$OUT"
WORK=$(mktemp -d -p "$OUT")
trap 'rm -rf "$WORK"' EXIT

# Its file `args` has the machines, and whether only a part was measured.
judge_figures() {
	local machines narrow rc=0
	{ read -r machines; read -r narrow || true; } <"$1/args"
	awk -f "$HARNESS/count/check.awk" -v limit=2 -v machines="$machines" \
		-v narrow="$narrow" "$1/committed" "$1/measured" >"$WORK/said" || rc=$?
	echo "exit $rc"
	cat "$WORK/said"
}

# A checkout with this harness, but patches and bases of its own.
judge_drift() {
	local rc=0
	cp -r "$1" "$2"
	ln -s "$HARNESS" "$2/harness"
	export TOP=$2/build LINUX=$2/linux BASE=9.9
	"$2/harness/base.sh"
	# What was seen when it was replaced is in the repository of another base.
	git init -q --bare "$TOP/linux.git"
	git --git-dir="$TOP/linux.git" hash-object -w "$2/was" >/dev/null
	"$2/harness/tree.sh" -report
	"$2/harness/tree.sh" || rc=$?
	echo "exit $rc"
	rm "$2"/patches/000[234]-*
	"$2/harness/tree.sh" || rc=$?
	echo "exit $rc"
}

# judge CASE: check.sh's answer in one text.
judge() (
	local dir=$WORK/$1 mode=test mmu='' rc=0
	if [ -d "$CASES/$1/linux" ]; then
		judge_drift "$CASES/$1" "$dir" 2>&1 | sed "s,$WORK/,,g"
		return
	fi
	if [ -f "$CASES/$1/committed" ]; then
		judge_figures "$CASES/$1"
		return
	fi
	cp -r "$CASES/$1" "$dir"
	# Its first line says how the run was started: MODE [MMU].
	[ ! -f "$dir/args" ] || read -r mode mmu <"$dir/args" || true
	# A case may bring lists of its own.
	[ ! -d "$dir/lists" ] || export LISTS=$dir/lists
	"$HARNESS/check.sh" "$dir" "$mode" "$mmu" >"$dir/said" 2>&1 || rc=$?
	echo "exit $rc"
	cat "$dir/verdict" "$dir/results.tsv" 2>/dev/null || true
	sed "s,$WORK/,,g" "$dir/said"
)

for path in "$CASES"/*/; do
	name=$(basename "$path")
	if [ "${1:-}" = -u ]; then
		judge "$name" >"$path/expect"
	elif judge "$name" | diff -u "$path/expect" - >"$WORK/diff"; then
		printf 'PASS\tgolden\t%s\t\n' "$name"
	else
		printf 'FAIL\tgolden\t%s\t\n' "$name"
		sed 1,2d "$WORK/diff"
	fi
done
