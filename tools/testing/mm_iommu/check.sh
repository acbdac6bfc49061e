#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs every program of the builds that are its arguments, JOBS at a time, and
# counts.

# One program, BUILD/PROGRAM. What it says, and how it ends, are in files.
if [ "$1" = -one ]; then
	args=
	case $2 in */fuzz_trans) args=$CORPUS ;; esac
	# shellcheck disable=SC2086 # a list of files
	timeout 900 "$O/$2" $args >"$O/$2.tap" 2>&1
	echo $? >"$O/$2.status"
	exit 0
fi

# Those that take longest come first.
programs() {
	for program in test_trans test_index test_view test_section \
			fuzz_trans; do
		for build in "$@"; do
			case $build/$program in
			# no threads
			*-tsan/fuzz_trans | *-tsan/test_section) ;;
			*) echo "$build/$program" ;;
			esac
		done
	done
}

pass=0
fail=0
start=$(date +%s)
programs "$@" | xargs -n 1 -P "${JOBS:-1}" "$0" -one

for program in $(programs "$@"); do
	log=$O/$program.tap
	status=$(cat "$O/$program.status")
	echo "# $program"
	cat "$log"
	pass=$((pass + $(grep -c '^ok ' "$log")))
	fail=$((fail + $(grep -c '^not ok ' "$log")))
	# it may have died before it could say so
	if [ "$status" != 0 ] && ! grep -q '^not ok ' "$log"; then
		echo "# $program: exit status $status"
		fail=$((fail + 1))
	fi
done

echo "# $pass passed, $fail failed, $(($(date +%s) - start)) seconds"
[ $fail = 0 ] && [ $pass != 0 ]
