#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Put the series on every base, or on LINUX= alone, and compile what it adds or
# changes there: a line for each patch, and what a person has to do where one
# does not fit. A base that Debian does not have any more is left out. `make
# test` without ALL=1 leaves 7.2 out, compiles on the default base, and builds
# the newest one's kernel otherwise.
. "$(dirname "$0")/lib.sh"

ONE=${LINUX:+$BASE}
BAD=0

# one STATUS WHAT [DETAIL]
one() {
	printf '%s\tbases\t%s\t%s\n' "$1" "$BASE $2" "${3:-}"
	[ "$1" != FAIL ] || BAD=1
}

# compile KERNEL COMMIT
compile() {
	objects_of "$2" AM >"$OUT/bases.objects"
	# shellcheck disable=SC2046
	if "$HARNESS/kernel.sh" "$1" \
			$(cat "$OUT/bases.objects") >/dev/null; then
		one PASS "$1 compiles, $(wc -l <"$OUT/bases.objects") objects"
	else
		one FAIL "$1 compiles"
	fi
}

for BASE in ${ONE:-$(all_bases)}; do
	# The newest one is much like it
	[ "$BASE" != 7.2 ] || [ -n "$ONE$ALL" ] || continue
	# The scripts find the build folder of this base themselves.
	OUT=$TOP
	[ "$BASE" = 6.12 ] || OUT=$TOP/$BASE
	GITDIR=$OUT/linux.git
	mkdir -p "$OUT"
	rc=0
	"$HARNESS/base.sh" 2>"$OUT/bases.err" || rc=$?
	cat "$OUT/bases.err" >&2
	if [ $rc = 4 ]; then
		one SKIP "has no source" \
			"$(grep -m 1 '^error: ' "$OUT/bases.err")"
		continue
	elif [ $rc != 0 ]; then
		one FAIL "has no source"
		continue
	fi
	if ! "$HARNESS/tree.sh" -report >"$OUT/bases.patches"; then
		one FAIL "the series is not whole"
		continue
	fi
	awk -F'\t' '{
		said = $2 == "care" ? "needs care" : $2
		if ($3 != "")
			said = said ($2 == "conflict" ? " in " : ": ") $3
		printf "  %-60s %s\n", $1, said
	}' "$OUT/bases.patches"
	if grep -qv '	clean	' "$OUT/bases.patches"; then
		one FAIL applies
		continue
	fi
	one PASS applies
	[ "$BASE" = 6.12 ] || [ -n "$ONE$ALL" ] || continue
	"$HARNESS/tree.sh"
	# The fixes are taken alone as well.
	compile fixes refs/parts/fixes
	compile series series
done
exit $BAD
