#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Unpack the base into $OUT/base and commit it as refs/heads/base.
. "$(dirname "$0")/lib.sh"

gitl() { git -c safe.directory='*' -C "$SOURCE" "$@"; }

# The newest package of the base that can be had: SOURCE and its NAME.
find_package() {
	local suite pattern dir
	pattern=$(base_says package)
	SOURCE=/usr/src/$pattern.tar.xz
	if [ -z "$(base_says suites)" ]; then
		[ -f "$SOURCE" ] ||
			die "$SOURCE is missing: apt install $pattern"
		NAME="$pattern $(dpkg-query -W -f '${Version}' "$pattern" \
			2>/dev/null || true)"
		return
	fi
	for suite in $(base_says suites); do
		dir=$("$HARNESS/debian-packages.sh" -newest "$suite" \
			"base-$BASE-$suite" "$pattern") || continue
		SOURCE=$(echo "$dir"/usr/src/*.tar.xz)
		NAME=$(basename "$SOURCE" .tar.xz)
		NAME="$NAME $(cat "$dir.versions") of $suite"
		return
	done
	say "error: BASE=$BASE: Debian has no package $pattern in:" \
		"$(base_says suites)"
	exit 4
}

# Source of the base: a name for people and a key that changes with it.
find_source() {
	if [ -z "$LINUX" ]; then
		find_package
		KEY="$NAME $(stat -c '%s %Y' "$SOURCE")"
		return
	fi
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
			say "note: changes in $LINUX that are not committed" \
				"are not used"
	else
		# Every file's time and size: an edit there is seen here.
		KEY="$NAME $(find "$SOURCE" -name .git -prune -o \
			-type f -printf '%p %s %T@\n' | sort | hash_of)"
	fi
}

# check_version TREE: is it one that this base stands for?
check_version() {
	VERSION=$(linux_version "$1")
	[ -n "$VERSION" ] || die "${LINUX:-$1} is not a Linux source tree"
	echo "$VERSION" | grep -qxE "$(base_says version)" ||
		die "${LINUX:-$1} is Linux $VERSION, not BASE=$BASE"
	at_least "$VERSION" "$(base_says least)" ||
		die "${LINUX:-$1} is Linux $VERSION:" \
			"the series needs $(base_says least) or newer"
}

unpack() {
	if [ -f "$SOURCE" ]; then
		tar -xf "$SOURCE" -C "$PRISTINE.new" --strip-components=1
	elif [ -n "$COMMITTED" ]; then
		gitl archive HEAD | tar -x -C "$PRISTINE.new"
	else
		tar -c --exclude=./.git -C "$SOURCE" . |
			tar -x -C "$PRISTINE.new"
		# A kernel was built inside that tree: O= builds refuse it.
		[ ! -e "$PRISTINE.new/.config" ] ||
			make -C "$PRISTINE.new" ARCH=powerpc mrproper
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
	git --git-dir="$GITDIR" --work-tree="$PRISTINE.new" -c core.bare=false \
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
	rm -rf "$PRISTINE.new" "$PRISTINE"
	mkdir -p "$PRISTINE.new"
	step "unpack $NAME" "$LOGS/unpack.log" unpack
	check_version "$PRISTINE.new"
	step "commit the base to git" "$LOGS/base.log" commit
	mv "$PRISTINE.new" "$PRISTINE"
	set_done "$OUT/base.stamp" "$KEY"
fi
check_version "$PRISTINE"
say "base: Linux $VERSION ($NAME)"
