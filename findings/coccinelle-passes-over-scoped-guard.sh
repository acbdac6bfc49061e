#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# spatch 1.1.1 and 1.3 (Debian coccinelle 1.1.1.deb-2+b1, 1.3.0.deb-1+b2 and -1+b7)
# leave out each function of the kernel that has a scoped_guard() or
# scoped_cond_guard() in it, all of it, and say nothing: "HANDLING", exit 0. What they
# do not parse they do not change. guard(), CLASS() and __free() are no problem. In
# Linux 6.12.117 that concerns 193 files with 524 such blocks.
#
# So a semantic patch that renames what a series renames leaves old names behind, and
# one that looks for a missing unlock finds none there ("make coccicheck" is quiet).
# --parse-c says how much of a file is read. With --macro-file, and in that file
#
#	#define scoped_guard YACFE_ITERATOR
#
# the function is read: the macro is like a loop then.
#
# Needs: an apt set up for Debian on amd64, 1 GB in TMPDIR.
set -eu -o pipefail

TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
cd "$TMP"

# shellcheck disable=SC2016
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	'Origin: Debian' 'Component: main' | head -n 1)
[ -n "$uri" ] || { echo "this machine is set up for no archive of Debian"; exit 1; }

# unpack SUITE PACKAGE=VERSION: with all that it depends on, libc included.
unpack() {
	local d=$TMP/$1 p
	mkdir -p "$d"/apt/lists/partial "$d"/apt/cache/archives/partial "$d/root"
	: >"$d/apt/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $1 main" \
		>"$d/apt/sources"
	cat >"$d/apt/conf" <<-EOF
		Dir::Etc::sourcelist "$d/apt/sources";
		Dir::Etc::sourceparts "-";
		Dir::State "$d/apt";
		Dir::State::status "$d/apt/status";
		Dir::Cache "$d/apt/cache";
		Acquire::Languages "none";
		APT::Architectures { "amd64"; };
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
	EOF
	APT_CONFIG=$d/apt/conf apt-get -qq update
	APT_CONFIG=$d/apt/conf apt-get -qq -y --download-only install "$2" >/dev/null
	for p in "$d"/apt/cache/archives/*.deb; do
		dpkg-deb -x "$p" "$d/root"
	done
	rm -r "$d/apt"
}

cat >rename.cocci <<'EOF'
@@ @@
- old_name();
+ new_name();
EOF
cat >code.c <<'EOF'
int with_guard(struct thing *thing)
{
	guard(mutex)(&thing->lock);
	old_name();
	return 0;
}

int with_scoped_guard(struct thing *thing)
{
	scoped_guard(mutex, &thing->lock) {
		if (thing->gone)
			return -ENODEV;
	}
	old_name();
	return 0;
}

int with_scoped_cond_guard(struct thing *thing)
{
	old_name();
	scoped_cond_guard(mutex_intr, return -EINTR, &thing->lock)
		thing->gone = true;
	return 0;
}
EOF
cat >macros.h <<'EOF'
#define scoped_guard YACFE_ITERATOR
#define scoped_cond_guard YACFE_ITERATOR
EOF

# renamed SUITE OPTIONS...: in which functions, and what else is said
renamed() {
	local r=$TMP/$1/root status=0
	COCCINELLE_HOME=$r/usr/lib/coccinelle PYTHONHOME=$r/usr \
		"$(find "$r/lib64" "$r/usr/lib64" -name ld-linux-x86-64.so.2 \
			2>/dev/null | head -n 1)" --library-path \
		"$r/usr/lib/x86_64-linux-gnu:$r/lib/x86_64-linux-gnu:$r/usr/lib/ocaml/stublibs" \
		"$r/usr/bin/spatch" "${@:2}" --sp-file rename.cocci code.c -o changed.c \
		>out 2>&1 || status=$?
	awk '/^int/ { sub(/\(.*/, "", $2); name = $2 }
		/new_name/ { printf "%s ", name }' changed.c
	echo "exit $status," "$(grep -cvE \
		'^(init_defs[_a-z]*: .*|HANDLING: code.c|diff = .*|[-+@ ].*|)$' out)" \
		"lines beside the diff"
	rm changed.c
}

QUIET="exit 0, 0 lines beside the diff"

# look SUITE
look() {
	local bare macros
	bare=$(renamed "$1")
	macros=$(renamed "$1" --macro-file macros.h)
	echo "$1: renamed in: $bare; with the macros: $macros"
	[ "$bare" = "with_guard $QUIET" ] || { echo "CHANGED: $1: $bare"; cat out; exit 1; }
	[ "$macros" = "with_guard with_scoped_guard with_scoped_cond_guard $QUIET" ] ||
		{ echo "CHANGED: $1, macros: $macros"; cat out; exit 1; }
}

unpack bookworm coccinelle=1.1.1.deb-2+b1
unpack trixie coccinelle=1.3.0.deb-1+b2
unpack sid coccinelle=1.3.0.deb-1+b7
look bookworm
look trixie
look sid
