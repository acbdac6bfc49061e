#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Lines, comments, words and names of all files (style.py); the table of causes
# (causes.py); checkpatch --strict on every patch of the series; its documents
# by sphinx, with the kernel's configuration; sparse (C=2) and W=1 on every
# object whose source the series adds or changes. Warnings that a file of the
# base has without the series are not counted.
. "$(dirname "$0")/lib.sh"

WORK=$OUT/style
SERIES=$OUT/series

# Not asked of a patch here:
# MISSING_SIGN_OFF	the person who sends the series signs it
# FILE_PATH_CHANGES	one patch extends the entry of MAINTAINERS by many files
# UNKNOWN_COMMIT_ID	the base is one commit without the history of Linux
# MISSING_FIXES_TAG	likewise: a fix has one if its commit could be verified
# ARCH_INCLUDE_LINUX	linux/mmzone.h has asm/mmzone.h with NUMA only
IGNORE=MISSING_SIGN_OFF,FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID,MISSING_FIXES_TAG
IGNORE=$IGNORE,ARCH_INCLUDE_LINUX

# Trace events are written like no other code.
IGNORE_EVENTS=PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE,COMPLEX_MACRO
# mm/gup.c continues a line by two tabs.
IGNORE_GUP=PARENTHESIS_ALIGNMENT

# only PATCH FILES: is no other file changed there than these, a regular
# expression?
only() { ! grep '^diff --git ' "$1" | grep -qvE " b/($2)\$"; }

# Of the base's own version; it reads files of the tree by their paths there.
run_checkpatch() {
	local p ignore bad=0
	for p in "$SERIES"/*.patch; do
		case $p in */0000-*) continue ;; esac
		ignore=$IGNORE
		! only "$p" '.*/trace_[^/]*\.h|.*/trace/events/.*' ||
			ignore=$IGNORE,$IGNORE_EVENTS
		! only "$p" 'mm/gup\.c' || ignore=$IGNORE,$IGNORE_GUP
		(cd "$TREE" && scripts/checkpatch.pl --strict --no-summary \
			--terse --show-types --ignore "$ignore" "$p") \
			>"$WORK/checkpatch" 2>"$WORK/checkpatch.err" && continue
		bad=1
		echo "${p##*/}:"
		# On stderr is mostly what it misses for its check of licences.
		[ -s "$WORK/checkpatch" ] || cat "$WORK/checkpatch.err"
		sed "s,^$p:,  ," "$WORK/checkpatch"
	done
	return $bad
}

# The documents of the series alone, as `make htmldocs` takes minutes for all of
# them.
run_docs() {
	local files src=$WORK/docs/src bin=
	local where='arch|drivers|include|[^ ]*\.rst|[^ ]*:[0-9]+'
	files=$(gitb diff --no-renames --diff-filter=AM --name-only \
		base series -- 'Documentation/*.rst' ':!*/index.rst')
	rm -rf "$WORK/docs"
	mkdir -p "$src"
	printf '%s\n' Index ===== '' '.. toctree::' '   :glob:' '' '   *' \
		>"$src/index.rst"
	# shellcheck disable=SC2086
	(cd "$TREE" && cp $files "$src")
	[ -e "$TREE/tools/docs/kernel-doc" ] ||
		bin="-D kerneldoc_bin=$TREE/scripts/kernel-doc"
	# shellcheck disable=SC2086
	(cd "$TREE" && srctree=$TREE PYTHONDONTWRITEBYTECODE=1 \
		sphinx-build -q -b html -c Documentation \
		-d "$WORK/docs/tree" -D version="$BASE" -D release= \
		-D kerneldoc_srctree="$TREE" $bin "$src" "$WORK/docs/html") \
		>"$WORK/docs.log" 2>&1 || {
			tail -n 20 "$WORK/docs.log"
			return 1
		}
	sed "s,$src/,,; s,$TREE/,,g" "$WORK/docs.log" |
		grep -A 5 -E "^($where).*(WARNING|ERROR)" || return 0
	return 1
}

# The kernel's own make in a folder for this check alone: flags of W=1 would
# make the kernels of the tests build again.
kmake() {
	local src=$1 dir=$2
	shift 2
	make -C "$src" O="$dir" ARCH=powerpc CROSS_COMPILE="$CROSS" \
		LOCALVERSION= HOSTCC="${CCACHE}gcc" \
		CC="${CCACHE}${CROSS}gcc" -k -j"$JOBS" "$@"
}

# objects FROM: objects of the series' kernel that come from the files listed.
objects() {
	sed -n 's/\.[cS]$/.o/p' "$1" | while read -r o; do
		[ ! -f "$OUT/kernel-series/$o" ] || echo "$o"
	done
}

# warnings SRC DIR FILES: what compiler and sparse say about these files,
# without line numbers, so that it can be compared.
warnings() {
	local src=$1 dir=$2 files=$3
	mkdir -p "$dir"
	cp "$OUT/kernel-series/.config" "$dir/.config"
	kmake "$src" "$dir" olddefconfig prepare >"$dir/prepare.log" 2>&1 ||
		{ tail -n 5 "$dir/prepare.log"; return 1; }
	objects "$files" >"$dir/objects"
	rm -f "$dir/said"
	: >"$dir/warned"
	[ -s "$dir/objects" ] || return 0
	(cd "$dir" && xargs rm -f <"$dir/objects")
	# shellcheck disable=SC2046
	kmake "$src" "$dir" C=2 W=1 $(cat "$dir/objects") >"$dir/said" 2>&1 ||
		true
	# A path from the root of the kernel tree, whatever folder make was in.
	sed -n "s,^\($src/\|[./]*/\($(basename "$src")\)/\),,; s,$src/,,g
		/: \(warning\|error\|note\):/p" \
		"$dir/said" | grep -Ff "$files" >"$dir/lines" || true
	grep '^make.*No rule' "$dir/said" >>"$dir/lines" || true
	sed 's/:[0-9][0-9:]*: /: /' "$dir/lines" | sort >"$dir/warned"
}

run_compilers() {
	local bad=0
	warnings "$TREE" "$OUT/kernel-style" "$WORK/files" || return 1
	: >"$WORK/before"
	if [ -s "$WORK/changed" ]; then
		warnings "$PRISTINE" "$OUT/kernel-style-base" "$WORK/changed" ||
			return 1
		cp "$OUT/kernel-style-base/warned" "$WORK/before"
	fi
	comm -13 "$WORK/before" "$OUT/kernel-style/warned" >"$WORK/new"
	[ ! -s "$WORK/new" ] || { cat "$WORK/new"; bad=1; }
	echo "$(wc -l <"$OUT/kernel-style/objects") objects" >"$WORK/count"
	return $bad
}

run_style() { python3 "$HARNESS/style.py" "$ROOT"; }

run_causes() { python3 "$HARNESS/causes.py" "$ROOT" -check; }

# report WHAT FUNCTION
report() {
	local bad=0
	"$2" >"$WORK/out" 2>&1 || bad=1
	sed 's/^/  /' "$WORK/out"
	if [ $bad -eq 0 ]; then
		echo "$1: clean"
	else
		echo "$1: not clean"
	fi
	return $bad
}

mkdir -p "$WORK"
bad=0
report "lines, comments, words and names" run_style || bad=1
report "causes in docs/refused.md" run_causes || bad=1
[ "${1:-}" != text ] || exit $bad
"$HARNESS/series.sh" >/dev/null
report "checkpatch --strict" run_checkpatch || bad=1
"$HARNESS/kernel.sh" series >/dev/null
take_lock
CCACHE=
! have ccache || CCACHE="ccache "
gitb diff --no-renames --diff-filter=AM --name-only base series |
	grep -vE '^(tools|Documentation)/' >"$WORK/files" || true
gitb diff --no-renames --diff-filter=M --name-only base series |
	grep -vE '^(tools|Documentation)/' >"$WORK/changed" || true
report "documents" run_docs || bad=1
report "sparse and W=1" run_compilers || bad=1
[ $bad -eq 0 ]
