#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# initramfs.sh FLAVOUR: pack the user space of the test guest and print its
# path. Every flavour shares one but for the modular ones, which carry their
# modules, and those for a guest with Debian's kernel, which have no tests but
# what serves the host.
. "$(dirname "$0")/lib.sh"

FLAVOUR=$1
BUSYBOX=$TOP/userland/busybox/bin/busybox
GEN=$OUT/bin/gen_init_cpio
INSTALL=$OUT/selftests/install
MODROOT=
case $FLAVOUR in
debian-*) MODROOT=$OUT/$FLAVOUR/modroot ;;
*) [ -z "$(modules "$FLAVOUR")" ] || MODROOT=$OUT/kernel-$FLAVOUR/modroot ;;
esac
NAME=initramfs${MODROOT:+-$FLAVOUR}
CPIO=$OUT/$NAME.cpio.gz

# compile NAME SOURCE...: a static program of the guest.
compile() {
	local name=$1
	shift
	"${CROSS}gcc" -O2 -g0 -Wall -Wextra -Wno-format-truncation \
		-Wno-missing-field-initializers -static \
		-pthread -isystem "$OUT/headers/usr/include" -I"$VFIO" \
		-o "$name" "$@"
}

build_tools() {
	gcc -O2 -w -o "$GEN" "$PRISTINE/usr/gen_init_cpio.c"
	compile "$OUT/bin/init" "$HARNESS/init/init.c"
	build_guest
}

# The drivers of QEMU and DPDK use devices by the code of the kselftests.
build_guest() {
	local p
	rm -rf "$EXTRA"
	mkdir -p "$EXTRA/kvm"
	for p in passthrough demo drivers io life memory network agent; do
		compile "$EXTRA/kvm/$p" -Wno-unused-parameter "$KVM/$p.c" \
			"$KVM"/{vm,card,disk,disktest,dma,tap}.c \
			"$VFIO/libspapr.c" "$VFIO/edu.c"
	done
	cp "$KVM/settings" "$HARNESS/console/deny" "$EXTRA/kvm/"
	mkdir "$EXTRA/dpdk"
	compile "$EXTRA/dpdk/dpdk" "$DPDK/dpdk.c" "$KVM"/{vm,tap}.c \
		"$VFIO/libspapr.c"
	cp "$DPDK/settings" "$EXTRA/dpdk/"
}

# add_tree FROM TO: all of a folder, in the words of gen_init_cpio.
add_tree() {
	(cd "$1" && find . -mindepth 1 -printf '%y %P\n' | sort -k 2) |
	while read -r type path; do
		case $type in
		d) echo "dir $2/$path 755 0 0" ;;
		f) echo "file $2/$path $1/$path 755 0 0" ;;
		esac
	done
}

add_agent() {
	echo "dir /tests/kvm 755 0 0"
	echo "file /tests/kvm/agent $EXTRA/kvm/agent 755 0 0"
	echo "file /tests/kvm/settings $EXTRA/kvm/settings 644 0 0"
	echo kvm:agent >"$OUT/bin/agent-list.txt"
	echo "file /tests/extra-list.txt $OUT/bin/agent-list.txt 644 0 0"
}

contents() {
	local d
	for d in /bin /sbin /usr /usr/bin /usr/sbin /dev /proc /sys /tmp \
		 /run /etc /root /tests /lib /lib/modules; do
		echo "dir $d 755 0 0"
	done
	echo "nod /dev/console 600 0 0 c 5 1"
	echo "file /init $OUT/bin/init 755 0 0"
	echo "file /bin/busybox $BUSYBOX 755 0 0"
	echo "slink /bin/sh busybox 777 0 0"
	echo "slink /sbin/modprobe ../bin/busybox 777 0 0"
	case $FLAVOUR in
	debian-*) add_agent ;;
	*)
		add_tree "$EXTRA" /tests
		add_tree "$INSTALL" /tests
		echo "file /tests/extra-list.txt" \
			"$OUT/bin/extra-list.txt 644 0 0" ;;
	esac
	[ -z "$MODROOT" ] || add_tree "$MODROOT/lib/modules" /lib/modules
}

# Programs that are not tests run only when they are named.
extra_list() {
	find "$INSTALL" "$EXTRA" -mindepth 2 -maxdepth 2 \
		-type f -perm -1 -printf "%P\n" |
		tr / : | grep -vxFf "$INSTALL/kselftest-list.txt" | sort || true
}

pack() {
	"$GEN" -t "$EPOCH" "$OUT/bin/$NAME.list" | gzip -n -3 >"$CPIO.new"
	mv "$CPIO.new" "$CPIO"
}

VFIO=$TREE/tools/testing/selftests/vfio/spapr
KVM=$HARNESS/guest/kvm
DPDK=$HARNESS/guest/dpdk
EXTRA=$OUT/bin/guest
take_lock
mkdir -p "$OUT/bin"
KEY=$({ cat "$HARNESS/init/init.c" "$0" "$BUSYBOX" "$HARNESS/console/deny" \
		"$VFIO"/{libspapr,edu}.[ch]
	find "$INSTALL" ${MODROOT:+"$MODROOT"} "$KVM" "$DPDK" -type f \
		-printf '%p\n' | sort | xargs cat
	find "$INSTALL" ${MODROOT:+"$MODROOT"} "$KVM" "$DPDK" | sort; } |
		hash_of)
if ! is_done "$OUT/$NAME.stamp" "$KEY" || [ ! -f "$CPIO" ]; then
	rm -f "$OUT/$NAME.stamp"
	step "build PID 1" "$LOGS/init.log" build_tools
	extra_list >"$OUT/bin/extra-list.txt"
	contents >"$OUT/bin/$NAME.list"
	step "pack the user space" "$LOGS/$NAME.log" pack
	set_done "$OUT/$NAME.stamp" "$KEY"
fi
echo "$CPIO"
