#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Test the judge of the runs: harness/golden/CASE holds what a run left behind,
# and in `expect` the verdict and the results that check.sh must find in it. Where
# there are figures (`committed`, `measured`) it is their judge that is tested.
# With -u the expectations are written anew (read the diff before you keep it).
. "$(dirname "$0")/lib.sh"

CASES=$HARNESS/golden
WORK=$(mktemp -d)
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

# judge CASE: check.sh's answer in one text.
judge() (
	local dir=$WORK/$1 mode=test mmu='' rc=0
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
