#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# userland.sh NAME PACKAGE...: unpack Debian packages of ppc64el, with all that
# they depend on, into $OUT/userland/NAME.
#
# This has an apt configuration of its own, with the archives that the machine
# is set up for. The machine itself does not get a foreign architecture.
. "$(dirname "$0")/lib.sh"

APT=$OUT/apt

apt_setup() {
	mkdir -p "$APT"/{etc/sources.list.d,etc/preferences.d,etc/apt.conf.d} \
		"$APT"/{state/lists/partial,cache/archives/partial}
	: >"$APT/state/status"
	rm -f "$APT"/etc/sources.list "$APT"/etc/sources.list.d/*
	cp /etc/apt/sources.list "$APT/etc/" 2>/dev/null || true
	cp /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources \
		"$APT/etc/sources.list.d/" 2>/dev/null || true
	# Sources that are limited to the machine's own architecture.
	find "$APT/etc" -type f -exec sed -i \
		-e '/^Architectures:/Id' -e 's/\barch[+-]\?=[^] ]*//' {} +
	# What the machine's apt is told about proxies and the like stays valid:
	# only places and architecture change.
	cat >"$APT/apt.conf" <<-EOF
	APT::Architecture "ppc64el";
	APT::Architectures { "ppc64el"; };
	APT::Sandbox::User "root";
	APT::Install-Recommends "false";
	Acquire::Languages "none";
	Dir::State "$APT/state";
	Dir::State::status "$APT/state/status";
	Dir::Cache "$APT/cache";
	Dir::Etc::sourcelist "$APT/etc/sources.list";
	Dir::Etc::sourceparts "$APT/etc/sources.list.d";
	Dir::Etc::preferencesparts "$APT/etc/preferences.d";
	EOF
}

fetch() {
	apt_setup
	export APT_CONFIG=$APT/apt.conf
	# A third party's archive may have no ppc64el: the install decides.
	apt-get -q update || true
	rm -f "$APT"/cache/archives/*.deb
	apt-get -q -y --download-only install "$@"
	for p in "$APT"/cache/archives/*.deb; do
		dpkg-deb -x "$p" "$DIR.new"
	done
}

NAME=$1
shift
DIR=$OUT/userland/$NAME
take_lock
if ! is_done "$DIR.stamp" "$*"; then
	rm -rf "$DIR" "$DIR.new" "$DIR.stamp"
	mkdir -p "$DIR.new"
	step "fetch $* (ppc64el)" "$LOGS/userland-$NAME.log" fetch "$@"
	mv "$DIR.new" "$DIR"
	set_done "$DIR.stamp" "$*"
fi
echo "$DIR"
