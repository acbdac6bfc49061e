#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# deb.sh FLAVOUR: make a Debian package of a kernel with its modules in $OUT/deb
# and print its path. It has a name of its own, so that it is installed beside
# Debian's.
. "$(dirname "$0")/lib.sh"

umask 022
DIR=$OUT/kernel-$1
ROOTFS=$OUT/deb.root
RELEASE=$(ls "$DIR/modules/lib/modules")
PACKAGE=linux-image-$RELEASE

# The date of the last commit makes a later package a newer one.
version() {
	local date
	date=$(git -c safe.directory='*' -C "$ROOT" log -1 --format=%cd \
		--date=format:%Y%m%d.%H%M%S 2>/dev/null) || date=0
	echo "${RELEASE%%-*}+$date"
}

control() {
	cat <<-EOF
	Package: $PACKAGE
	Version: $VERSION
	Architecture: ppc64el
	Section: kernel
	Priority: optional
	Maintainer: nobody <nobody@localhost>
	Installed-Size: $(du -sk "$ROOTFS" | cut -f1)
	Depends: kmod, linux-base, initramfs-tools | linux-initramfs-tool
	Description: Linux with DMA memory registration for VFIO on POWER
	 Debian's configuration for POWER8 and newer with pages of 4K, and of
	 its modules those that common machines need.
	EOF
}

# Steps of Debian's own packages beside the hooks: all builds have one name and
# no versions of symbols, so a running build must not find the modules of
# another.
own_part() {
	case $1 in
	preinst) cat <<-EOF
		if [ "\$1" = upgrade ] && [ "\$(uname -r)" = $RELEASE ]; then
		        echo "$RELEASE is running: boot another one first" >&2
		        exit 1
		fi
		EOF
		;;
	postinst) echo "depmod $RELEASE" ;;
	prerm) echo "[ \"\$1\" != remove ] || linux-check-removal $RELEASE" ;;
	postrm) cat <<-EOF
		if [ "\$1" = purge ]; then
		        rm -f /usr/lib/modules/$RELEASE/modules.*
		        rmdir /usr/lib/modules/$RELEASE 2>/dev/null || true
		fi
		EOF
		;;
	esac
}

# Initramfs and boot menu are made, and go, by what other packages have put
# there.
hook() {
	cat <<-EOF
	#!/bin/sh
	set -e
	EOF
	own_part "$1"
	cat <<-EOF
	export DEB_MAINT_PARAMS="\$*" INITRD=Yes
	[ ! -d /etc/kernel/$1.d ] ||
	        run-parts --exit-on-error --arg=$RELEASE \\
	                --arg=/boot/vmlinux-$RELEASE /etc/kernel/$1.d
	EOF
}

make_deb() {
	local s
	rm -rf "$ROOTFS"
	mkdir -p "$ROOTFS"/{DEBIAN,boot,usr/lib}
	cp -a "$DIR/modules/lib/modules" "$ROOTFS/usr/lib/"
	rm -f "$ROOTFS/usr/lib/modules/$RELEASE/build"
	chmod -R u=rwX,go=rX "$ROOTFS/usr"
	"${CROSS}strip" -o "$ROOTFS/boot/vmlinux-$RELEASE" "$DIR/vmlinux"
	cp "$DIR/System.map" "$ROOTFS/boot/System.map-$RELEASE"
	cp "$DIR/.config" "$ROOTFS/boot/config-$RELEASE"
	for s in preinst postinst prerm postrm; do
		hook $s >"$ROOTFS/DEBIAN/$s"
		chmod 755 "$ROOTFS/DEBIAN/$s"
	done
	control >"$ROOTFS/DEBIAN/control"
	mkdir -p "$OUT/deb"
	rm -f "$OUT/deb/${PACKAGE}"_*.deb
	SOURCE_DATE_EPOCH=$EPOCH dpkg-deb --root-owner-group -Zxz -b "$ROOTFS" \
		"$DEB.new"
	mv "$DEB.new" "$DEB"
	rm -rf "$ROOTFS"
}

take_lock
VERSION=$(version)
DEB=$OUT/deb/${PACKAGE}_${VERSION}_ppc64el.deb
KEY=$(cat "$DIR/built" "$0" | hash_of)
if ! is_done "$DEB.stamp" "$KEY" || [ ! -f "$DEB" ]; then
	need_space 1 "the package $PACKAGE"
	step "make the package" "$LOGS/deb.log" make_deb
	rm -f "$OUT"/deb/*.stamp
	set_done "$DEB.stamp" "$KEY"
fi
echo "$DEB"
