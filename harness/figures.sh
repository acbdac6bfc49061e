#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# figures.sh [-check]: take the figures of the machines that the last `make
# bench` measured as a whole into the repository (harness/figures/MACHINE.csv,
# plots in docs/figures) and write the tables of README.md and docs/figures.md
# between their marks. The figures of other machines stay. -check: are the
# tables what it would write, and the figures in messages of patches the
# committed ones?
. "$(dirname "$0")/lib.sh"

FROM=$OUT/bench
FIGURES=$HARNESS/figures
PLOTS=$ROOT/docs/figures
BEGIN_MARK='<!-- figures: written by make figures -->'
END_MARK='<!-- end of figures -->'

# All machines, and which of them stand for themselves in the tables
MACHINES="pseries powernv9 powernv9-hash powernv8"
COLUMNS="pseries powernv9 powernv8"

# Only the rows of cache lines, where no others were measured.
take_lines() {
	local csv=$FIGURES/$1.csv
	[ -f "$csv" ] || return 0
	{
		grep -vE '",lines( [a-z]+)?,' "$csv"
		cat "$FROM/$1.csv"
	} >"$WORK/csv"
	cat "$WORK/csv" >"$csv"
	new="$new $1"
}

take_figures() {
	local m new=
	mkdir -p "$FIGURES" "$PLOTS"
	for m in $MACHINES; do
		[ ! -f "$FROM/$m.lines" ] || take_lines "$m"
		[ -f "$FROM/$m.whole" ] || continue
		# the kills say already what is stored in which register
		{
			echo "# $(cat "$FROM/$m.whole")"
			grep -v ',device stores,' "$FROM/$m.csv"
		} >"$FIGURES/$m.csv"
		new="$new $m"
	done
	[ -n "$new" ] ||
		say "no machine was measured as a whole in $FROM:" \
			"the committed figures stay"
	"$HARNESS/plots.sh" "$PLOTS" svg "$FIGURES"/p*.csv
}

# Machines that there are figures of.
committed() {
	local m
	for m in $MACHINES; do [ ! -f "$FIGURES/$m.csv" ] || echo "$m"; done
}

# Tools of the measurements; mostly the same for all machines.
about() {
	local m
	for m in $(committed); do sed -n "1s/^# //p" "$FIGURES/$m.csv"; done |
		sort -u | paste -sd'|' | sed 's/|/; and /g'
}

# section ROWS
section() {
	local files=() m
	for m in $(committed); do files+=("$FIGURES/$m.csv"); done
	echo "$BEGIN_MARK"
	echo "Measured with $(about)."
	echo "Each is base / series, **ratio**;" \
		"\"(hash)\" is of the same machine with the hash MMU."
	awk -f "$HARNESS/count/readme.awk" -v machines="$COLUMNS" "$1" \
		"${files[@]}"
	echo "$END_MARK"
}

# page FILE ROWS: the page with the new tables in the place of the old ones.
page() {
	section "$HARNESS/count/$2" >"$WORK/section"
	awk -v begin="$BEGIN_MARK" -v end="$END_MARK" \
		-v section="$WORK/section" '
	$0 == begin { while ((getline line <section) > 0) print line; skip = 1 }
	!skip
	$0 == end { skip = 0 }' "$ROOT/$1"
}

# each_page COMMAND: COMMAND FILE ROWS for each page that has tables.
each_page() {
	"$1" README.md readme.rows
	"$1" docs/figures.md figures.rows
}

has_marks() {
	local mark
	for mark in "$BEGIN_MARK" "$END_MARK"; do
		grep -qxF -e "$mark" "$ROOT/$1" || die "$1 has no line $mark"
	done
}

is_right() {
	page "$@" | diff "$ROOT/$1" - >&2 ||
		die "the tables of $1 are not what make figures writes"
}

update() {
	page "$@" >"$WORK/page"
	cmp -s "$WORK/page" "$ROOT/$1" || cat "$WORK/page" >"$ROOT/$1"
}

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
each_page has_marks
if [ "${1:-}" = -check ]; then
	each_page is_right
	python3 "$HARNESS/count/messages.py" "$ROOT/patches" \
		"$HARNESS/count/messages.rows" "$FIGURES"/p*.csv >&2 ||
		die "messages of patches have other figures than" \
			"those committed"
	exit
fi
take_figures
each_page update
say "README.md and docs/figures.md have the figures of $(about)"
