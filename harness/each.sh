#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build every commit of the series, or of PART= and what is before it, in turn:
# none may break the kernel. Of the fixes, which change files of the base only,
# the folders of these files are compiled, with KVM and VFIO and without both;
# from the last of them on each commit is a whole kernel, with the test programs
# where it changes them. A commit that was built before is not built again.
. "$(dirname "$0")/lib.sh"

SRC=$OUT/each/tree
DONE=$OUT/each.done
END=series
[ -z "$PART" ] || END=refs/parts/$PART

# Folders that the kernel's make can compile alone: not virt/kvm, which belongs
# to arch/powerpc/kvm.
folders() {
	gitb diff --name-only base refs/parts/fixes -- '*.c' |
		sed 's,[^/]*$,,' |
	sort -u | while read -r dir; do
		! gitb cat-file -e "base:${dir}Makefile" 2>/dev/null ||
			echo "$dir"
	done
}

changes() { ! gitb diff --quiet "$commit^" "$commit" -- "tools/testing/$1"; }

# Programs that run on a machine, and those that run here.
programs() {
	local headers
	rm -rf "$OUT/each/programs"
	if changes selftests/vfio/spapr; then
		"$HARNESS/kernel.sh" each headers
		headers=$OUT/each/kernel/usr/include
		make -C "$SRC/tools/testing/selftests" TARGETS=vfio/spapr \
			FORCE_TARGETS=1 ARCH=powerpc CROSS_COMPILE="$CROSS" \
			O="$OUT/each/programs" -j"$JOBS" \
			KHDR_INCLUDES="-isystem $headers"
	fi
	! changes mm_iommu || make -C "$SRC/tools/testing/mm_iommu" \
		O="$OUT/each/programs" -j"$JOBS" all compile
}

# build KERNEL [FOLDER...]: the commit that is checked out, unless it is known.
build() {
	local key
	key="$(gitb rev-parse "$commit^{tree}") $(echo "$*" |
		cat - "$HARNESS"/config/* "$ROOT/bases/$BASE/config" | hash_of)"
	! grep -qxF "$key" "$DONE" || return 0
	(take_lock; checkout_tree "$SRC" "$commit")
	"$HARNESS/kernel.sh" "$@" >/dev/null ||
		die "patch $n of $count does not build: $title"
	[ $# -gt 1 ] || step "each: build the test programs" \
		"$LOGS/each-programs.log" programs
	echo "$key" >>"$DONE"
}

mkdir -p "$OUT/each"
touch "$DONE"
n=0
count=$(gitb rev-list --count base.."$END")
fixes=$(gitb rev-list --count base..refs/parts/fixes)
for commit in $(gitb rev-list --reverse base.."$END"); do
	n=$((n + 1))
	title=$(gitb log -1 --format=%s "$commit")
	if [ $n -le "$fixes" ]; then
		# shellcheck disable=SC2046
		build each $(folders)
		# shellcheck disable=SC2046
		build each-bare $(folders)
	fi
	[ $n -lt "$fixes" ] || build each
	say "  $n/$count builds: $title"
done
