#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Test the judges of the harness. Each file of harness/golden is a case: what a
# run left behind, cut short, in parts that begin with "==> NAME <==".
#
# expect	exit status, verdict and results that judge-run.sh must print
# args		how the run was started: mode, expected MMU
# ended		how QEMU ended
# lists/*	replace harness/console
#
# A case with `committed` and `measured` figures tests the judge of `make
# bench-check`, harness/count/check.awk; its `args` are the machines, and
# whether only a part was measured.
#
# A case with sources in `root/` tests the judge of their form,
# harness/style.py, and one with `messages.rows` that of the figures in messages
# of patches.
#
# A case with a small Linux, `linux/`, tests what is said of a base on which
# patches do not fit; with `parts`, one for each line, what `make series PART=`
# makes of it.
#
# -u updates the expectations; read the diff before you commit it.
. "$(dirname "$0")/lib.sh"

CASES=$HARNESS/golden
mkdir -p "$OUT"
WORK=$(mktemp -d -p "$OUT")
trap 'rm -rf "$WORK"' EXIT

# unpack CASE: its parts become files of $WORK/CASE.
unpack() {
	mkdir -p "$WORK/$1"
	awk -v dir="$WORK/$1" '
		/^==> .* <==$/ {
			path = dir "/" $2
			system("mkdir -p $(dirname " path ")")
			printf "" >path
			next
		}
		{ print >path }' "$CASES/$1"
}

judge_figures() {
	local machines narrow rc=0
	{ read -r machines; read -r narrow || true; } <"$1/args"
	awk -f "$HARNESS/count/check.awk" -v limit=2 -v machines="$machines" \
		-v narrow="$narrow" "$1/committed" "$1/measured" \
		>"$WORK/said" || rc=$?
	echo "exit $rc"
	cat "$WORK/said"
}

judge_style() {
	local rc=0
	git init -q "$1/root"
	python3 "$HARNESS/style.py" "$1/root" >"$WORK/said" || rc=$?
	echo "exit $rc"
	cat "$WORK/said"
}

judge_messages() {
	local rc=0
	python3 "$HARNESS/count/messages.py" "$1/patches" "$1/messages.rows" \
		"$1/figures.csv" >"$WORK/said" || rc=$?
	echo "exit $rc"
	cat "$WORK/said"
}

# A checkout with this harness, but patches and bases of its own.
judge_drift() {
	local rc=0
	ln -s "$HARNESS" "$1/harness"
	export TOP=$1/build LINUX=$1/linux BASE=9.9
	"$1/harness/base.sh"
	# The replaced text that was reviewed is in the repository of another
	# base.
	git init -q --bare "$TOP/linux.git"
	git --git-dir="$TOP/linux.git" hash-object -w "$1/was" >/dev/null
	"$1/harness/tree.sh" -report
	"$1/harness/tree.sh" || rc=$?
	echo "exit $rc"
	rm "$1"/patches/*/000[234]-*
	"$1/harness/tree.sh" || rc=$?
	echo "exit $rc"
}

# The patches that are written of each part, and the tree that `git am` makes.
judge_parts() {
	local rc where
	ln -s "$HARNESS" "$1/harness"
	export TOP=$1/build LINUX=$1/linux BASE=9.9 PART
	"$1/harness/base.sh"
	"$1/harness/tree.sh"
	while read -r PART; do
		echo "PART=$PART"
		rc=0
		"$1/harness/make.sh" check || rc=$?
		if [ $rc = 0 ]; then
			where=$("$1/harness/series.sh")
			(cd "$where" && for p in *; do
				echo "$p"
				sed -n '/^Notes:/,/^$/p' "$p"
			done)
		fi
		echo "exit $rc"
	done <"$1/parts"
}

# Without the steps that a slow machine takes two seconds for, or a minute.
without_times() { sed -E '/^  .* +[0-9]+:[0-9]{2}(, still running)?$/d'; }

# judge CASE: the judge's answer in one text.
judge() (
	dir=$WORK/$1 mode=test mmu='' rc=0
	if [ -f "$dir/parts" ]; then
		judge_parts "$dir" 2>&1 | without_times | sed "s,$WORK/,,g"
		return
	fi
	if [ -d "$dir/linux" ]; then
		judge_drift "$dir" 2>&1 | without_times | sed "s,$WORK/,,g"
		return
	fi
	if [ -f "$dir/committed" ]; then
		judge_figures "$dir"
		return
	fi
	if [ -d "$dir/root" ]; then
		judge_style "$dir"
		return
	fi
	if [ -f "$dir/messages.rows" ]; then
		judge_messages "$dir"
		return
	fi
	read -r mode mmu <"$dir/args" || true
	[ ! -d "$dir/lists" ] || export LISTS=$dir/lists
	"$HARNESS/judge-run.sh" "$dir" "$mode" "$mmu" >"$dir/said" 2>&1 || rc=$?
	echo "exit $rc"
	cat "$dir/verdict" "$dir/results.tsv" 2>/dev/null || true
	sed "s,$WORK/,,g" "$dir/said"
)

# update CASE: what the judge says now is what it must say.
update() {
	sed '/^==> expect <==$/q' "$CASES/$1" >"$WORK/new"
	judge "$1" >>"$WORK/new"
	cp "$WORK/new" "$CASES/$1"
}

for path in "$CASES"/*; do
	name=$(basename "$path")
	unpack "$name"
	mv "$WORK/$name/expect" "$WORK/expect"
	if [ "${1:-}" = -u ]; then
		update "$name"
	elif judge "$name" | diff -u "$WORK/expect" - >"$WORK/diff"; then
		printf 'PASS\tgolden\t%s\t\n' "$name"
	else
		printf 'FAIL\tgolden\t%s\t\n' "$name"
		sed 1,2d "$WORK/diff"
	fi
done
