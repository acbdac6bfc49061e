#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Turn patches/ and the overlay into commits on top of the base, one per patch,
# and check the result out in $OUT/tree. patches/ has a folder for each part of
# the series.
#
# The commits are made in an index of their own, without a work tree. Only when
# all of them are there does the branch move, and the checkout then touches only
# files that really changed: an edit of one file rebuilds one file.
#
# tree.sh -report only says of each patch how it goes with this base, as lines
# of "patch clean|care|conflict detail" by tabs: "care" is what a person has to
# look at before it can be right, though there is no conflict.
. "$(dirname "$0")/lib.sh"

REPORT=${1:-}
WORK=$OUT/tree.work

# Some of git's commands want a work tree, though --cached never looks at it.
gitw() {
	git -C "$WORK/none" -c core.bare=false --git-dir="$GITDIR" \
		--work-tree="$WORK/none" "$@"
}

# git in the checkout, which may belong to another user.
gitr() { git -c safe.directory='*' -C "$ROOT" "$@"; }

# Files of the checkout that belong into the kernel tree: all below a folder of
# the same name as one of the base's.
list_overlay() {
	local dirs
	dirs=$(cd "$ROOT" && gitb ls-tree -d --name-only base |
		while read -r d; do [ ! -d "$d" ] || echo "$d"; done)
	[ -n "$dirs" ] || return 0
	# shellcheck disable=SC2086
	if [ "$(gitr rev-parse --show-toplevel 2>/dev/null)" -ef "$ROOT" ]; then
		gitr ls-files -co --exclude-standard -- $dirs
	else
		(cd "$ROOT" && find $dirs -type f -o -type l)
	fi | sort -u | while read -r f; do
		[ ! -e "$ROOT/$f" ] || echo "$f"
	done
}

# matches PATTERN < PATHS: a path, "dir/", or a glob whose * also spans "/".
# What a patch names in full belongs to it, not to the folder of another.
matches() {
	local p=$1 f
	case $p in */) p="$p*" ;; esac
	grep -vxF "$(grep -vxF "$p" "$WORK/named")" | while read -r f; do
		# shellcheck disable=SC2254
		case $f in $p) echo "$f" ;; esac
	done
}

trailer() { sed -n "s/^Overlay-$1:[[:space:]]*//p" "$WORK/message"; }

# trouble PATCH care|conflict DETAIL ADVICE: the end, unless it is asked what
# there is.
trouble() {
	[ -n "$REPORT" ] || die "$1: $3: $4"
	printf '%s\t%s\t%s\n' "${1#patches/}" "$2" "$3" >>"$WORK/said"
}

# The replaced text, by its HASH, if any base still has it.
text_of() {
	local repo
	for repo in "$GITDIR" "$TOP"/linux.git "$TOP"/*/linux.git; do
		git --git-dir="$repo" cat-file blob "$1" 2>/dev/null && return
	done
	return 1
}

# check_original PATCH FILE HASH...: the texts of these hashes were reviewed
# when the file was replaced or removed. A later change of it may be one that
# the new file needs too.
check_original() {
	local patch=$1 file=$2 id hash diff advice="take over what is new in it"
	shift 2
	if ! id=$(gitb rev-parse -q --verify "$PREPARED:$file"); then
		trouble "$patch" care "$file is not in this base" \
			"see what became of it"
		return
	fi
	for hash in "$@"; do
		case $id in "$hash"*) return ;; esac
	done
	diff=$OUT/drift/${file//\//-}.diff
	mkdir -p "$OUT/drift"
	: >"$WORK/original"
	for hash in "$@"; do
		! text_of "$hash" >"$WORK/original" || break
	done
	gitb cat-file blob "$id" |
		diff -u --label "seen/$file" --label "base/$file" \
			"$WORK/original" - >"$diff" || true
	[ ! -s "$WORK/original" ] || [ -n "$REPORT" ] || head -n 60 "$diff" >&2
	trouble "$patch" care \
		"$file is not what the series replaces, see $diff" \
		"$advice and add ${id:0:12} to its Overlay line"
}

# add_files PATCH < NAMES
add_files() {
	local patch=$1 f mode
	while read -r f; do
		! grep -qxF "$f" "$WORK/claimed" ||
			die "$patch: Overlay-Add: $f:" \
				"another patch adds it already"
		echo "$f" >>"$WORK/claimed"
		mode=100644
		[ ! -x "$ROOT/$f" ] || mode=100755
		if [ -L "$ROOT/$f" ]; then
			printf '120000 %s\t%s\n' "$(readlink -n "$ROOT/$f" |
				gitb hash-object -w --stdin)" "$f"
		else
			printf '%s %s\t%s\n' $mode "$(gitb hash-object \
				-w --no-filters "$ROOT/$f")" "$f"
		fi
	done >"$WORK/info"
	gitw update-index --add --index-info <"$WORK/info"
}

add_overlay() {
	local patch=$1 pat replaced="the base has this file:"
	replaced="$replaced Overlay-Replace says that it is replaced"
	trailer Add | while read -r pat; do
		matches "$pat" <"$WORK/overlay" >"$WORK/matched"
		[ -s "$WORK/matched" ] ||
			die "$patch: Overlay-Add: $pat:" \
				"no such file in the checkout"
		comm -12 "$WORK/matched" "$WORK/base" | while read -r f; do
			trouble "$patch" conflict "$f" "$replaced"
		done
		add_files "$patch" <"$WORK/matched"
	done
}

replace_base() {
	local patch=$1 file hashes
	trailer Replace | while read -r file hashes; do
		[ -f "$ROOT/$file" ] ||
			die "$patch: Overlay-Replace: $file:" \
				"no such file in the checkout"
		# shellcheck disable=SC2086
		check_original "$patch" "$file" $hashes
		echo "$file" | add_files "$patch"
	done
}

remove_base() {
	local patch=$1 file hashes
	trailer Remove | while read -r file hashes; do
		# shellcheck disable=SC2086
		check_original "$patch" "$file" $hashes
		gitw update-index --force-remove -- "$file"
	done
}

applies() {
	gitw apply --cached --whitespace=nowarn "$@" "$WORK/diff" 2>"$WORK/why"
}

apply_hunks() {
	local patch=$1 file without='' correct
	local beside="see that the hunk is still right there"
	beside="$beside, and give it less context"
	correct="correct that hunk for this base and run make again"
	! grep -q '^diff --git ' "$WORK/diff" || applies || {
		sed -nE 's/^error: patch failed: (.*):[0-9]+$/\1/p
			s/^error: (.*): (does not|already) exists?.*/\1/p' \
			"$WORK/why" | sort -u >"$WORK/files"
		[ -s "$WORK/files" ] || echo "the tree" >"$WORK/files"
		while read -r file; do
			without="$without --exclude=$file"
			if applies -C1 --include="$file"; then
				trouble "$patch" care \
					"$file differs beside a hunk" "$beside"
			else
				trouble "$patch" conflict "$file" "$correct"
			fi
		done <"$WORK/files"
		# The others, for the patches that follow.
		# shellcheck disable=SC2086
		applies $without || true
	}
}

# for_base: the trailers Base and Until name the first and the last one.
for_base() {
	local least most
	least=$(trailer Base)
	most=$(trailer Until)
	at_least "$BASE" "${least:-$BASE}" && at_least "${most:-$BASE}" "$BASE"
}

# A patch for another base: what it adds is not in this tree.
leave_out() {
	local pat
	trailer Add | while read -r pat; do
		matches "$pat" <"$WORK/overlay" >>"$WORK/elsewhere"
	done
	[ -z "$REPORT" ] ||
		printf '%s\tclean\tnot for this base\n' "${1#patches/}"
	LEFT_OUT=$((LEFT_OUT + 1))
}

# The text below the --- of a patch is for those who read the mail: a git note
# of the commit, which format-patch --notes puts there again.
keep_note() {
	sed '1d; /^diff --git /,$d' "$WORK/diff" | gitb stripspace >"$WORK/note"
	[ ! -s "$WORK/note" ] ||
		gitb -c user.name=harness -c user.email=harness@localhost \
			notes add -F "$WORK/note" "$HEAD"
}

# commit_patch FILE NUMBER
commit_patch() {
	local file=$1 n=$2 patch=${1#"$ROOT/"} subject author mail tree
	gitb mailinfo "$WORK/message" "$WORK/diff" \
		<"$file" >"$WORK/info" 2>"$WORK/why" ||
		die "$patch: git mailinfo cannot read it:" \
			"$(head -n 1 "$WORK/why")"
	subject=$(sed -n 's/^Subject: //p' "$WORK/info")
	author=$(sed -n 's/^Author: //p' "$WORK/info")
	mail=$(sed -n 's/^Email: //p' "$WORK/info")
	[ -n "$subject" ] || die "$patch has no Subject: line"
	[ -n "$author" ] || die "$patch has no From: line"
	: >"$WORK/said"
	if ! for_base; then
		leave_out "$patch"
		return
	fi
	apply_hunks "$patch"
	remove_base "$patch"
	replace_base "$patch"
	add_overlay "$patch"
	tree=$(gitb write-tree)
	[ -n "$REPORT" ] || [ "$tree" != "$(gitb rev-parse "$HEAD^{tree}")" ] ||
		die "$patch changes nothing"
	[ -z "$REPORT" ] || grep . "$WORK/said" ||
		printf '%s\tclean\t\n' "${patch#patches/}"
	HEAD=$({ printf '%s\n\n' "$subject"
		 sed '/^Overlay-\(Add\|Replace\|Remove\|Base\|Until\):/d' \
			"$WORK/message"; } |
		gitb stripspace |
		GIT_AUTHOR_NAME=$author GIT_AUTHOR_EMAIL=$mail \
		GIT_COMMITTER_NAME=$author GIT_COMMITTER_EMAIL=$mail \
		GIT_AUTHOR_DATE="$((EPOCH + n * 60)) +0000" \
		GIT_COMMITTER_DATE="$((EPOCH + n * 60)) +0000" \
		gitb commit-tree "$tree" -p "$HEAD")
	[ -n "$REPORT" ] || keep_note
}

# Changes of Linux since this base, unless it has them: see bases/README.
prepare() {
	local p n=-100
	for p in "$ROOT/bases/$BASE/prepare"/*.patch; do
		[ -f "$p" ] || continue
		n=$((n + 1))
		gitb mailinfo "$WORK/message" "$WORK/diff" <"$p" >/dev/null
		applies --check --reverse || commit_patch "$p" $n
	done
}

# Every file of the overlay belongs to a patch. While one works on it (WIP=1),
# those that do not yet make a last commit of their own.
check_claims() {
	sort -u "$WORK/claimed" "$WORK/elsewhere" | comm -13 - "$WORK/overlay" \
		>"$WORK/unclaimed"
	[ -s "$WORK/unclaimed" ] || return 0
	if [ -n "${WIP:-}" ]; then
		{ echo "From: WIP <wip@localhost>"
		  printf 'Subject: work in progress\n\n'
		  sed 's/^/Overlay-Add: /' "$WORK/unclaimed"
		  echo ---; } >"$WORK/wip"
		commit_patch "$WORK/wip" 9999
	else
		die "no patch has an Overlay-Add line for:" \
			"$(head -n 5 "$WORK/unclaimed" |
				paste -sd' ')" \
			"($(wc -l <"$WORK/unclaimed") files;" \
			"WIP=1 takes them as a last commit)"
	fi
}

# The work tree was edited instead of the overlay: keep that as a diff.
save_edits() {
	local name
	name=$OUT/tree-edits-$(date +%Y%m%d-%H%M%S).diff
	git -C "$TREE" update-index -q --refresh >/dev/null 2>&1 || true
	git -C "$TREE" diff --quiet HEAD && return
	git -C "$TREE" diff HEAD >"$name"
	say "warning: $TREE was edited by hand;" \
		"the edits are kept in $name and undone"
}

# note_parts < "NAME COMMIT" lines: where each part of the series ends.
note_parts() {
	gitb for-each-ref --format='delete %(refname)' refs/parts |
		gitb update-ref --stdin
	sed 's,^,create refs/parts/,' | gitb update-ref --stdin
}

take_lock
rm -rf "$WORK"
mkdir -p "$WORK/none"
: >"$WORK/claimed"
: >"$WORK/elsewhere"
list_overlay >"$WORK/overlay"
sed -n 's/^Overlay-Add:[[:space:]]*\(.*[^/]\)$/\1/p' \
	"$ROOT"/patches/*/[0-9]*-*.patch |
	grep -v '\*' >"$WORK/named" || true
HEAD=$(gitb rev-parse base)
export GIT_INDEX_FILE=$WORK/index
[ -n "$REPORT" ] || gitb update-ref -d refs/notes/commits
gitb read-tree base
prepare
PREPARED=$HEAD
gitb ls-tree -r --name-only "$PREPARED" | sort >"$WORK/base"
n=0
LEFT_OUT=0
for part in $(all_parts); do
	for p in "$ROOT"/patches/[a-z]-"$part"/[0-9]*-*.patch; do
		[ -f "$p" ] || continue
		n=$((n + 1))
		commit_patch "$p" $n
	done
	echo "$part $HEAD" >>"$WORK/parts"
done
check_claims
[ -z "$REPORT" ] || { rm -rf "$WORK"; exit 0; }
unset GIT_INDEX_FILE
gitb update-ref refs/heads/series "$HEAD"
note_parts <"$WORK/parts"

# Nothing to do, and nobody touched the work tree?
if is_done "$OUT/tree.stamp" "$HEAD" &&
   git -C "$TREE" diff --quiet HEAD 2>/dev/null; then
	rm -rf "$WORK"
	exit 0
fi
if [ -f "$OUT/tree.stamp" ]; then
	rm "$OUT/tree.stamp"
	save_edits
fi
step "check out the series ($((n - LEFT_OUT)) patches)" "$LOGS/tree.log" \
	checkout_tree "$TREE" series
set_done "$OUT/tree.stamp" "$HEAD"
rm -rf "$WORK"
