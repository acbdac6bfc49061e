#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs every program of the builds that are its arguments, and counts.
pass=0
fail=0
start=$(date +%s)

for build in "$@"; do
	for program in test_trans test_index test_section test_view fuzz_trans; do
		args=
		case $build/$program in
		*-tsan/fuzz_trans | *-tsan/test_section) continue ;;	# no threads
		*/fuzz_trans) args=$CORPUS ;;
		esac
		echo "# $build/$program"
		log=$O/$build/$program.tap
		# shellcheck disable=SC2086 # a list of files
		timeout 300 $O/$build/$program $args >"$log" 2>&1
		status=$?
		cat "$log"
		pass=$((pass + $(grep -c '^ok ' "$log")))
		fail=$((fail + $(grep -c '^not ok ' "$log")))
		# it may have died before it could say so
		if [ $status != 0 ] && ! grep -q '^not ok ' "$log"; then
			echo "# $build/$program: exit status $status"
			fail=$((fail + 1))
		fi
	done
done

echo "# $pass passed, $fail failed, $(($(date +%s) - start)) seconds"
[ $fail = 0 ] && [ $pass != 0 ]
