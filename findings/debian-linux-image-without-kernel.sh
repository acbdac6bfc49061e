#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Debian's package linux-image-VERSION held the kernel and its modules up to 6.12
# (Debian 13). That of 7.2.13-1 (sid, ppc64el) is 1,888 bytes: no kernel, no module,
# nothing in /boot. It depends on linux-binary (the kernel, in
# /usr/lib/modules/VERSION/vmlinuz) and linux-modules (the modules), and its
# maintainer scripts put the kernel into /boot.
#
# Whatever unpacks a kernel package without installing it, as test beds and image
# builders do (dpkg-deb -x linux-image-*.deb, then boot/vmlinu*), gets an empty folder
# and no error from apt or dpkg.
#
# Needs: an apt set up for Debian, 100 MB in TMPDIR.
set -eu -o pipefail

VERSION=7.2.13+deb14-powerpc64le-64k REVISION=7.2.13-1
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
cd "$TMP"

# shellcheck disable=SC2016
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	'Origin: Debian' 'Component: main' | head -n 1)
[ -n "$uri" ] || { echo "this machine is set up for no archive of Debian"; exit 1; }

mkdir -p apt/lists/partial apt/cache/archives/partial
: >apt/status
for s in trixie sid; do
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $s main"
done >apt/sources
cat >apt/conf <<-EOF
	Dir::Etc::sourcelist "$TMP/apt/sources";
	Dir::Etc::sourceparts "-";
	Dir::State "$TMP/apt";
	Dir::State::status "$TMP/apt/status";
	Dir::Cache "$TMP/apt/cache";
	Acquire::Languages "none";
	APT::Architecture "ppc64el";
	APT::Architectures { "ppc64el"; };
	APT::Sandbox::User "root";
EOF
export APT_CONFIG=$TMP/apt/conf
apt-get -qq update

fail() { echo "CHANGED: $*"; exit 1; }

# kib PATTERN: installed size of the newest package with such a name
kib() {
	local p
	p=$(apt-cache pkgnames | grep -xE "$1" | sort -V | tail -n 1)
	apt-cache show "$p" | sed -n 's/^Installed-Size: //p' | sort -n | tail -n 1
}

# has PACKAGE PATTERN: number of its files with such a name
has() {
	apt-get -qq download "$1=$REVISION"
	dpkg-deb -c "$1"_*.deb | awk '{ print $6 }' | grep -cE "$2" || true
}

old=$(kib 'linux-image-6\.12\.[0-9]+\+deb13-powerpc64le-64k')
new=$(kib "linux-image-${VERSION//+/\\+}")
image=$(has "linux-image-$VERSION" '/vmlinu[xz]|\.ko(\.xz)?$')
binary=$(has "linux-binary-$VERSION" '/usr/lib/modules/.*/vmlinuz$')
echo "linux-image of 6.12 (trixie): $old KiB; of $REVISION (sid): $new KiB, $image kernels and modules"
echo "linux-binary of $REVISION: $binary kernel"

[ "$old" -gt 100000 ] || fail "linux-image of 6.12 is small"
[ "$new" -lt 100 ] && [ "$image" = 0 ] || fail "linux-image of $REVISION"
[ "$binary" = 1 ] || fail "linux-binary of $REVISION"
