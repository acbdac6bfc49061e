#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# check.sh [FOLDER]: have spin check each model, and refuse each of its mutants.
# TAP on stdout; FOLDER is where it works.
set -u -o pipefail
export LC_ALL=C

SRC=$(cd "$(dirname "$0")" && pwd)
WORK=${1:-}
n=0 bad=0

if [ -z "$WORK" ]; then
	WORK=$(mktemp -d)
	trap 'rm -rf "$WORK"' EXIT
fi

if ! command -v spin >/dev/null; then
	echo "1..0 # SKIP spin is not installed"
	exit 0
fi

# verify MODEL [-DMUTANT]: 0 without an error, 1 with one, 2 if it was not
# complete. The error of a mutant is found sooner than an optimizing compiler is
# done.
verify() (
	level=-O2
	[ $# = 1 ] || level=-O0
	mkdir -p "$WORK" && cd "$WORK" || exit 2
	rm -f pan*
	spin -a "${@:2}" "$SRC/$1" >spin.log 2>&1 &&
		${CC:-cc} -w $level -DSAFETY -DCOLLAPSE -DMEMLIM=2000 \
			-o pan ./pan.c &&
		./pan -m100000 >pan.log 2>&1 || exit 2
	! grep -q 'max search depth\|out of memory\|Search not completed' \
		pan.log ||
		grep -q 'errors: 1' pan.log || exit 2
	grep -q 'errors: 0' pan.log
)

# judge WANTED GOT NAME
judge() {
	n=$((n + 1))
	if [ "$1" = "$2" ]; then
		echo "ok $n $3"
	else
		echo "not ok $n $3"
		[ "$2" != 2 ] || sed 's/^/# /' "$WORK/spin.log"
		bad=1
	fi
}

for path in "$SRC"/*.pml; do
	model=$(basename "$path")
	rc=0; verify "$model" || rc=$?
	judge 0 $rc "$model holds"
	for mutant in $(sed -n 's,^/\* MUTANT \([A-Z_]*\):.*,\1,p' "$path"); do
		rc=0; verify "$model" "-D$mutant" || rc=$?
		judge 1 $rc "$model: $mutant is refused"
	done
done
echo "1..$n"
exit $bad
