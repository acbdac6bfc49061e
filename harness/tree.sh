#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Turn patches/ and the overlay into commits on top of the base, one per patch,
# and check the result out in $OUT/tree.
#
# The commits are made in an index of their own, without a work tree. Only when
# all of them are there does the branch move, and the checkout then touches only
# files that really changed: an edit of one file rebuilds one file.
. "$(dirname "$0")/lib.sh"

WORK=$OUT/tree.work

# Some of git's commands want a work tree, though --cached never looks at it.
gitw() {
	git -C "$WORK/none" -c core.bare=false --git-dir="$GITDIR" \
		--work-tree="$WORK/none" "$@"
}

# Files of the checkout that belong into the kernel tree: all below a folder of
# the same name as one of the base's.
list_overlay() {
	local dirs
	dirs=$(cd "$ROOT" && gitb ls-tree -d --name-only base |
		while read -r d; do [ ! -d "$d" ] || echo "$d"; done)
	[ -n "$dirs" ] || return 0
	# shellcheck disable=SC2086
	if git -c safe.directory='*' -C "$ROOT" rev-parse -q --git-dir >/dev/null 2>&1; then
		git -c safe.directory='*' -C "$ROOT" ls-files -co --exclude-standard -- $dirs
	else
		(cd "$ROOT" && find $dirs -type f -o -type l)
	fi | sort -u | while read -r f; do
		[ ! -e "$ROOT/$f" ] || echo "$f"
	done
}

# matches PATTERN < PATHS: a path, "dir/", or a glob whose * also spans "/".
matches() {
	local p=$1 f
	case $p in */) p="$p*" ;; esac
	while read -r f; do
		# shellcheck disable=SC2254
		case $f in $p) echo "$f" ;; esac
	done
}

trailer() { sed -n "s/^Overlay-$1:[[:space:]]*//p" "$WORK/message"; }

add_overlay() {
	local patch=$1 pat f mode
	trailer Add | while read -r pat; do
		matches "$pat" <"$WORK/overlay" >"$WORK/matched"
		[ -s "$WORK/matched" ] ||
			die "$patch: Overlay-Add: $pat: no such file in the checkout"
		while read -r f; do
			! grep -qxF "$f" "$WORK/claimed" ||
				die "$patch: Overlay-Add: $f: another patch adds it already"
			echo "$f" >>"$WORK/claimed"
			mode=100644
			[ ! -x "$ROOT/$f" ] || mode=100755
			if [ -L "$ROOT/$f" ]; then
				printf '120000 %s\t%s\n' "$(readlink -n "$ROOT/$f" |
					gitb hash-object -w --stdin)" "$f"
			else
				printf '%s %s\t%s\n' $mode \
					"$(gitb hash-object -w --no-filters "$ROOT/$f")" "$f"
			fi
		done <"$WORK/matched" >"$WORK/info"
		gitw update-index --add --index-info <"$WORK/info"
	done
}

remove_base() {
	local patch=$1 pat
	trailer Remove | while read -r pat; do
		gitw ls-files | matches "$pat" >"$WORK/matched"
		[ -s "$WORK/matched" ] ||
			die "$patch: Overlay-Remove: $pat: no such file in the base"
		gitw update-index --force-remove --stdin <"$WORK/matched"
	done
}

apply_hunks() {
	local patch=$1 file
	grep -q '^diff --git ' "$WORK/diff" || return 0
	gitw apply --cached --whitespace=nowarn "$WORK/diff" 2>"$WORK/why" && return
	# Another 6.12.x may differ beside a hunk; one line of context on each
	# side of it must still be the same.
	if gitw apply --cached --whitespace=nowarn -C1 "$WORK/diff" 2>/dev/null; then
		say "note: $patch fits this base with less context than it has"
		return
	fi
	file=$(sed -n 's/^error: patch failed: \(.*\)/\1/p; s/^error: \(.*\): does not exist.*/\1/p' \
		"$WORK/why" | head -n 1)
	die "$patch does not apply to ${file:-the tree}: correct that hunk for this base and run make again"
}

# commit_patch FILE NUMBER
commit_patch() {
	local file=$1 n=$2 patch=patches/${1##*/} subject author mail tree
	gitb mailinfo "$WORK/message" "$WORK/diff" <"$file" >"$WORK/info" 2>"$WORK/why" ||
		die "$patch: git mailinfo cannot read it: $(head -n 1 "$WORK/why")"
	subject=$(sed -n 's/^Subject: //p' "$WORK/info")
	author=$(sed -n 's/^Author: //p' "$WORK/info")
	mail=$(sed -n 's/^Email: //p' "$WORK/info")
	[ -n "$subject" ] || die "$patch has no Subject: line"
	[ -n "$author" ] || die "$patch has no From: line"
	apply_hunks "$patch"
	remove_base "$patch"
	add_overlay "$patch"
	tree=$(gitb write-tree)
	[ "$tree" != "$(gitb rev-parse "$HEAD^{tree}")" ] ||
		die "$patch changes nothing"
	HEAD=$({ printf '%s\n\n' "$subject"
		 sed '/^Overlay-\(Add\|Remove\):/d' "$WORK/message"; } |
		gitb stripspace |
		GIT_AUTHOR_NAME=$author GIT_AUTHOR_EMAIL=$mail \
		GIT_COMMITTER_NAME=$author GIT_COMMITTER_EMAIL=$mail \
		GIT_AUTHOR_DATE="$((EPOCH + n * 60)) +0000" \
		GIT_COMMITTER_DATE="$((EPOCH + n * 60)) +0000" \
		gitb commit-tree "$tree" -p "$HEAD")
}

# Every file of the overlay belongs to a patch. While one works on it (WIP=1),
# those that do not yet make a last commit of their own.
check_claims() {
	sort "$WORK/claimed" | comm -13 - "$WORK/overlay" >"$WORK/unclaimed"
	[ -s "$WORK/unclaimed" ] || return 0
	if [ -n "${WIP:-}" ]; then
		{ printf 'From: WIP <wip@localhost>\nSubject: work in progress\n\n'
		  sed 's/^/Overlay-Add: /' "$WORK/unclaimed"; echo ---; } >"$WORK/wip"
		commit_patch "$WORK/wip" 9999
	else
		die "no patch has an Overlay-Add line for: $(head -n 5 "$WORK/unclaimed" | tr '\n' ' ')($(wc -l <"$WORK/unclaimed") files; WIP=1 takes them as a last commit)"
	fi
}

# Somebody edited the work tree instead of the overlay: keep that as a diff.
save_edits() {
	local name
	name=$OUT/tree-edits-$(date +%Y%m%d-%H%M%S).diff
	git -C "$TREE" update-index -q --refresh >/dev/null 2>&1 || true
	git -C "$TREE" diff --quiet HEAD && return
	git -C "$TREE" diff HEAD >"$name"
	say "warning: $TREE was edited by hand; the edits are kept in $name and undone"
}

# checkout_tree PATH COMMIT
checkout_tree() {
	if [ ! -f "$1/.git" ] || ! git -C "$1" rev-parse -q HEAD >/dev/null 2>&1; then
		rm -rf "$1"
		gitb worktree prune
		gitb worktree add -q --no-checkout --detach "$1" "$2"
	fi
	rm -f "$(git -C "$1" rev-parse --git-path index.lock)"
	git -C "$1" reset -q --hard "$2"
	git -C "$1" clean -qfd
	[ "$(git -C "$1" rev-parse HEAD)" = "$(gitb rev-parse "$2")" ]
}

take_lock
rm -rf "$WORK"
mkdir -p "$WORK/none"
: >"$WORK/claimed"
list_overlay >"$WORK/overlay"
HEAD=$(gitb rev-parse base)
export GIT_INDEX_FILE=$WORK/index
gitb read-tree base
n=0
for p in "$ROOT"/patches/[0-9]*-*.patch; do
	[ -f "$p" ] || continue
	n=$((n + 1))
	commit_patch "$p" $n
done
check_claims
unset GIT_INDEX_FILE
gitb update-ref refs/heads/series "$HEAD"

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
step "check out the series ($n patches)" "$LOGS/tree.log" checkout_tree "$TREE" series
set_done "$OUT/tree.stamp" "$HEAD"
rm -rf "$WORK"
