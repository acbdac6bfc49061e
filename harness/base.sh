#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Unpack the base into $OUT/base and commit it as refs/heads/base.
. "$(dirname "$0")/lib.sh"

PACKAGE=linux-source-6.12

gitl() { git -c safe.directory='*' -C "$SOURCE" "$@"; }

# What the base is made from: a name for people and a key that changes with it.
find_source() {
	if [ -z "$LINUX" ]; then
		SOURCE=/usr/src/$PACKAGE.tar.xz
		[ -f "$SOURCE" ] || die "$SOURCE is missing: apt install $PACKAGE"
		NAME="$PACKAGE $(dpkg-query -W -f '${Version}' $PACKAGE 2>/dev/null || true)"
		KEY="$NAME $(stat -c '%s %Y' "$SOURCE")"
		return
	fi
	[ -e "$LINUX" ] || die "LINUX=$LINUX does not exist"
	SOURCE=$(realpath "$LINUX")
	NAME=$SOURCE
	if [ -f "$SOURCE" ]; then
		KEY="$NAME $(stat -c '%s %Y' "$SOURCE")"
		return
	fi
	check_version "$SOURCE"
	# A git tree is taken as it was committed, without what is built in it.
	if KEY=$(gitl rev-parse -q --verify HEAD 2>/dev/null) &&
	   [ "$(gitl rev-parse --show-toplevel)" = "$SOURCE" ]; then
		COMMITTED=1
		NAME="$NAME, commit ${KEY:0:12}"
		gitl diff --quiet HEAD 2>/dev/null ||
			say "note: changes in $LINUX that are not committed are not used"
	else
		# Every file's time and size: an edit there is seen here.
		KEY="$NAME $(find "$SOURCE" -name .git -prune -o -type f -printf '%p %s %T@\n' | sort | hash_of)"
	fi
}

# check_version TREE: only Linux 6.12 will do.
check_version() {
	local v
	v=$(awk '/^VERSION =/ { v = $3 } /^PATCHLEVEL =/ { p = $3 }
		 /^SUBLEVEL =/ { print v "." p "." $3; exit }' \
		"$1/Makefile" 2>/dev/null) || true
	case $v in
	6.12.*) VERSION=$v ;;
	'') die "${LINUX:-$1} is not a Linux source tree" ;;
	*) die "${LINUX:-$1} is Linux $v: a 6.12 tree is needed" ;;
	esac
}

unpack() {
	if [ -f "$SOURCE" ]; then
		tar -xf "$SOURCE" -C "$BASE.new" --strip-components=1
	elif [ -n "$COMMITTED" ]; then
		gitl archive HEAD | tar -x -C "$BASE.new"
	else
		tar -c --exclude=./.git -C "$SOURCE" . | tar -x -C "$BASE.new"
		# A kernel was built inside that tree: O= builds refuse it.
		[ ! -e "$BASE.new/.config" ] ||
			make -C "$BASE.new" ARCH=powerpc mrproper
	fi
}

commit() {
	local tree id
	[ -d "$GITDIR" ] || {
		git init -q --bare "$GITDIR.new" && mv "$GITDIR.new" "$GITDIR"
	}
	gitb config gc.auto 0
	gitb config core.compression 1
	rm -f "$OUT/base.index"* "$GITDIR"/*.lock
	export GIT_INDEX_FILE=$OUT/base.index
	# -f: the kernel's .gitignore also covers files that the source ships.
	git --git-dir="$GITDIR" --work-tree="$BASE.new" -c core.bare=false \
		-c core.safecrlf=false add -A -f .
	tree=$(gitb write-tree)
	unset GIT_INDEX_FILE
	id=$(echo "Linux $VERSION" |
	     GIT_AUTHOR_NAME=base GIT_AUTHOR_EMAIL=base@localhost \
	     GIT_COMMITTER_NAME=base GIT_COMMITTER_EMAIL=base@localhost \
	     GIT_AUTHOR_DATE="$EPOCH +0000" GIT_COMMITTER_DATE="$EPOCH +0000" \
	     gitb commit-tree "$tree")
	gitb update-ref refs/heads/base "$id"
	rm -f "$OUT/base.index"
}

take_lock
VERSION='' COMMITTED=''
find_source
if ! is_done "$OUT/base.stamp" "$KEY"; then
	need_space 6 "unpacking and building the kernel"
	rm -f "$OUT/base.stamp"
	rm -rf "$BASE.new" "$BASE"
	mkdir -p "$BASE.new"
	step "unpack $NAME" "$LOGS/unpack.log" unpack
	check_version "$BASE.new"
	step "commit the base to git" "$LOGS/base.log" commit
	mv "$BASE.new" "$BASE"
	set_done "$OUT/base.stamp" "$KEY"
fi
check_version "$BASE"
say "base: Linux $VERSION ($NAME)"
