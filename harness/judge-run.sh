#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# judge-run.sh DIR MODE [MMU]: judge one run from what it left in DIR:
#
#	ended		how QEMU ended: "exit N", "silent S", "timeout S",
#			"interrupted"
#	report.log	what PID 1 reported
#	console.log	the kernel's console
#	qemu.log	QEMU's own words
#	must-pass	mode fixes: programs and tests, by tabs
#
# and write
#
#	results.tsv	PASS|FAIL|SKIP, program, test, detail
#	failures	the failing tests with what they said
#	results.tap	the report as TAP, with PID 1's lines as comments
#	verdict		"good" or "bad", then one line for each reason
#
# MODE is test, stock (a splat is shown but fails nothing), fixes (of all tests
# only those count that must pass: the others are of parts of the series that
# are not there) or demo (the program speaks no TAP). The exit status is 0 when
# nothing failed.
. "$(dirname "$0")/lib.sh"

DIR=$1 MODE=$2 MMU=${3:-}
LISTS=${LISTS:-$HARNESS/console}
cd "$DIR" || exit
touch report.log console.log qemu.log
[ -s ended ] || echo "interrupted" >ended

# The regular expressions of a list, without comments.
regexes() { sed -e '/^#/d' -e '/^$/d' -e 's/  *## .*//' "$1"; }

check_lists() {
	local bad
	bad=$(sed -e '/^#/d' -e '/^$/d' -e '/  ## ..*/d' \
		"$LISTS/allow" "$LISTS/known")
	[ -z "$bad" ] ||
		die "a line of $LISTS/allow or known has no reason: $bad"
}

# An allowed line also excuses the one trace and dump that come with it.
bad_lines() {
	local deny allow
	deny=$(regexes "$LISTS/deny")
	allow=$(regexes "$LISTS/allow")
	grep -anE -e "$deny" console.log | tr -d '\r' >denied || true
	if [ -n "$allow" ]; then
		grep -aE -e "$allow" denied >allowed || true
		awk -F: '
		FILENAME == "allowed" { excuse[$1]; next }
		$1 in excuse { trace = dump = $1 + 40; next }
		/Call Trace:/ && $1 + 0 <= trace { trace = 0; next }
		/Instruction dump:/ && $1 + 0 <= dump { dump = 0; next }
		{ print }' allowed denied
	else
		cat denied
	fi
	rm -f denied allowed
}

# The program that was running when the report stopped.
last_program() {
	awk '/^@begin / { p = $2 } /^@end / { p = "" }
	     END { print p == "" ? "" : " during " p }' report.log
}

# Why QEMU's end is not the end of a good run; nothing if it is.
bad_end() {
	local how n during
	read -r how n <ended
	during=$(last_program)
	if grep -qa 'Kernel panic - not syncing' console.log; then
		echo "panic$during:" \
			"$(sed -n 's/.*Kernel panic - not syncing: *//p' \
				console.log | tr -d '\r' | head -n 1)"
		return
	fi
	case $how in
	silent) echo "hang$during: the guest said nothing for $n seconds" ;;
	timeout) echo "timeout$during: the run took longer than $n seconds" ;;
	interrupted) echo "interrupted$during" ;;
	exit)
		if [ "$n" != 0 ]; then
			echo "QEMU failed$during, exit status $n:" \
				"$(head -n 1 qemu.log)"
		elif ! grep -qa '^@hello' report.log; then
			echo "no report: PID 1 never spoke"
		elif ! grep -qax '@done' report.log; then
			echo "early exit$during:" \
				"QEMU ended before PID 1 was done"
		fi ;;
	esac
}

bad_mmu() {
	local got
	got=$(sed -n 's/.*\(hash\|radix\)-mmu: Page sizes.*/\1/p;
		s/.*\(hash\|radix\)-mmu: Initializing.*/\1/p' console.log |
			head -n 1)
	[ -n "$MMU" ] && [ -n "$got" ] && [ "$got" != "$MMU" ] || return 0
	echo "wrong MMU: $got instead of $MMU"
	[ "$got" = radix ] ||
		echo "note: without CONFIG_PPC_DT_CPU_FTRS=y and" \
			"CONFIG_PPC_RADIX_MMU_DEFAULT=y POWER9 runs the" \
			"hash MMU"
}

# Remedies for what is known.
explain() {
	local line re
	sed -e '/^#/d' -e '/^$/d' "$LISTS/known" | while IFS= read -r line; do
		re=${line%%  ## *}
		! cat console.log qemu.log | grep -qaE -e "$re" ||
			echo "note: ${line#*  ## }"
	done
}

# One line for each test; the failing ones also with what they said.
results() {
	awk -v mode="$MODE" -f "$HARNESS/tap.awk" report.log
}

# One reason for all bad lines of the console, unless they are the panic that
# is a reason already.
bad_console() {
	local n
	[ -s splats ] && [ "$MODE" != stock ] || return 0
	! head -n 1 splats | grep -q 'Kernel panic' || return 0
	n=$(wc -l <splats)
	echo "bad lines in the console: $n, the first is line" \
		"$(head -n 1 splats)"
}

# The console around the first bad line.
excerpt() {
	local at
	[ -s splats ] || return 0
	at=$(head -n 1 splats | cut -d: -f1)
	echo "    console.log from line $at:"
	tail -n +"$at" console.log | head -n 25 | tr -d '\r' | sed 's/^/    | /'
}

# Of the programs that ran, the tests that must pass: one without a result, or
# one that was skipped, has failed.
only_must_pass() {
	awk -F'\t' -v OFS='\t' '
	NR == FNR { must[$1, $2]; next }
	{ ran[$2] }
	($2, $3) in must {
		if ($1 != "PASS")
			$1 = "FAIL"
		print
		delete must[$2, $3]
	}
	END {
		for (m in must) {
			split(m, t, SUBSEP)
			if (t[1] in ran)
				printf "FAIL\t%s\t%s\tdid not run\n", t[1], t[2]
		}
	}' must-pass results.tsv | sort >results.must
	mv results.must results.tsv
	awk -F'\t' '
	NR == FNR { if ($1 == "FAIL") bad[$2 ": " $3]; next }
	/^[^ ]/ {
		said = 0
		for (b in bad)
			if ($0 == b || index($0, b ": ") == 1)
				said = 1
	}
	said' results.tsv failures >failures.must
	mv failures.must failures
}

check_lists
: >failures
bad_lines >splats
results >results.tsv
[ "$MODE" != fixes ] || only_must_pass
sed 's/^@/# @/' report.log >results.tap
{ bad_end; bad_mmu; bad_console; } >reasons
[ ! -s reasons ] || explain >>reasons
grep -v '^note: ' reasons | while IFS= read -r why; do
	printf 'FAIL\t(run)\t%s\t\n' "$why" >>results.tsv
	printf '(run): %s\n' "$why" >>failures
done || true
sed -n 's/^note: /    /p' reasons >>failures
[ ! -s reasons ] || excerpt >>failures

failed=$(grep -c '^FAIL' results.tsv) || true
{
	if [ "$failed" -gt 0 ]; then
		echo bad
		cat reasons
		echo "$failed of $(wc -l <results.tsv) tests failed"
	else
		echo good
	fi
	[ "$MODE" != stock ] || sed 's/^/note: console line /' splats
} >verdict
rm -f reasons
[ "$failed" -eq 0 ]
