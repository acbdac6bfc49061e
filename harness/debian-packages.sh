#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# debian-packages.sh [-sid | -native | -backports] NAME PACKAGE...: unpack
# Debian packages of ppc64el, with all that they depend on, into
# $TOP/userland/NAME: those of the machine's own release, or of sid. With
# -native: packages of sid for this machine. With -backports: packages for this
# machine, newer than its own, with what it does not have yet of what they
# depend on. With -newest SUITE and patterns in place of packages: for each the
# newest of this suite with such a name that can be had, alone.
#
# This has an apt configuration of its own, with the archives that the machine
# is set up for. The machine itself gets no foreign architecture and no package.
. "$(dirname "$0")/lib.sh"

SUITE='' NEWEST=''
case $1 in
-sid | -native | -backports) SUITE=${1#-}; shift ;;
-newest) SUITE=$2 NEWEST=yes; shift 2 ;;
esac
FROM=${SUITE:-ppc64el} APT=$TOP/apt${SUITE:+-$SUITE}

# add_suite NAME: another suite of the same archive.
add_suite() {
	local uri
	uri=$(archive)
	[ -n "$uri" ] || die "this machine is set up for no archive of Debian"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
		"$uri $1 main" >"$APT/etc/sources.list.d/$1.list"
}

copy_sources() {
	cp /etc/apt/sources.list "$APT/etc/" 2>/dev/null || true
	cp /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources \
		"$APT/etc/sources.list.d/" 2>/dev/null || true
}

# Which packages, and what of them is there already.
apt_target() {
	if [ "$SUITE" = backports ]; then
		echo "Dir::State::status \"/var/lib/dpkg/status\";"
		echo "APT::Default-Release \"$(release)-backports\";"
		return
	fi
	echo "Dir::State::status \"$APT/state/status\";"
	[ "$SUITE" = native ] || cat <<-EOF
	APT::Architecture "ppc64el";
	APT::Architectures { "ppc64el"; };
	EOF
}

apt_setup() {
	mkdir -p "$APT"/{etc/sources.list.d,etc/preferences.d,etc/apt.conf.d} \
		"$APT"/{state/lists/partial,cache/archives/partial}
	: >"$APT/state/status"
	rm -f "$APT"/etc/sources.list "$APT"/etc/sources.list.d/*
	case $SUITE in
	native) add_suite sid ;;
	backports) copy_sources; add_suite "$(release)-backports" ;;
	?*) add_suite "$SUITE" ;;
	*)
		copy_sources
		# Sources that are limited to the machine's own architecture.
		find "$APT/etc" -type f -exec sed -i \
			-e '/^Architectures:/Id' -e 's/\barch[+-]\?=[^] ]*//' \
			{} + ;;
	esac
	# The machine's own settings of apt, proxies and the like, stay valid:
	# only places and architecture change.
	apt_target >"$APT/apt.conf"
	cat >>"$APT/apt.conf" <<-EOF
	APT::Sandbox::User "root";
	APT::Install-Recommends "false";
	Acquire::Languages "none";
	Dir::State "$APT/state";
	Dir::Cache "$APT/cache";
	Dir::Etc::sourcelist "$APT/etc/sources.list";
	Dir::Etc::sourceparts "$APT/etc/sources.list.d";
	Dir::Etc::preferencesparts "$APT/etc/preferences.d";
	EOF
}

# A list of packages may be newer than what a mirror has.
fetch_newest() {
	local p
	for p in $(apt-cache pkgnames | grep -xE -- "$1" | sort -rV); do
		(cd "$APT/cache/archives" && apt-get -q download "$p") && return
	done
	die "no package with a name like $1 can be had; there are:" \
		"$(apt-cache pkgnames "${1%%[^a-z-]*}" | sort -V |
			paste -sd' ')"
}

fetch() {
	apt_setup
	export APT_CONFIG=$APT/apt.conf
	# A third party's archive may have no ppc64el: the install decides.
	apt-get -q update || true
	rm -f "$APT"/cache/archives/*.deb
	if [ -n "$NEWEST" ]; then
		for p in "$@"; do fetch_newest "$p"; done
	else
		apt-get -q -y --download-only install "$@"
	fi
	for p in "$APT"/cache/archives/*.deb; do
		dpkg-deb -x "$p" "$DIR.new"
		dpkg-deb -f "$p" Version
	done >"$DIR.versions"
	merge_usr
}

# Packages of newer releases have everything in /usr and count on these links.
merge_usr() {
	local d
	for d in bin sbin lib lib64; do
		[ -e "$DIR.new/$d" ] || [ ! -d "$DIR.new/usr/$d" ] ||
			ln -s "usr/$d" "$DIR.new/$d"
	done
}

NAME=$1
shift
DIR=$TOP/userland/$NAME
is_done "$DIR.stamp" "$*" || take_lock "$TOP"
if ! is_done "$DIR.stamp" "$*"; then
	rm -rf "$DIR" "$DIR.new" "$DIR.stamp"
	mkdir -p "$DIR.new"
	step "fetch $* ($FROM)" "$LOGS/userland-$NAME.log" fetch "$@"
	mv "$DIR.new" "$DIR"
	set_done "$DIR.stamp" "$*"
fi
echo "$DIR"
