#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# configs.sh: compile what the series adds or changes in the configurations of
# the list `configs`, with -Werror, and W=1 for what is new: a line for each.
# CONFIGS="name ..." makes only these.
. "$(dirname "$0")/lib.sh"

LIST=$HARNESS/configs
BAD=0

# kmake COMPILER DIR ...
kmake() {
	local compiler=$1 dir=$2 ccache=''
	! have ccache || ccache='ccache '
	shift 2
	case $compiler in
	gcc) set -- CROSS_COMPILE="$CROSS" CC="$ccache${CROSS}gcc" "$@" ;;
	clang*) set -- LLVM="${compiler#clang}" "$@" ;;
	*) die "$LIST: no such compiler: $compiler" ;;
	esac
	make -C "$TREE" O="$dir" ARCH=powerpc LOCALVERSION= -j"$JOBS" "$@"
}

can() {
	case $1 in
	gcc) have "${CROSS}gcc" ;;
	clang*) have "clang${1#clang}" && have "ld.lld${1#clang}" ;;
	esac
}

# configure COMPILER DIR CONFIG [SYMBOL=value...]
configure() {
	local s compiler=$1 dir=$2
	kmake "$compiler" "$dir" "$3" || return 1
	shift 3
	for s in "$@"; do
		"$TREE/scripts/config" --file "$dir/.config" \
			--set-val "${s%%=*}" "${s#*=}"
	done
	kmake "$compiler" "$dir" olddefconfig || return 1
	for s in "$@"; do
		grep -qx "CONFIG_$s" "$dir/.config" || { [ "${s#*=}" = n ] &&
			! grep -q "^CONFIG_${s%%=*}=" "$dir/.config"; } ||
			{ echo "error: CONFIG_$s did not take"; return 1; }
	done
	kmake "$compiler" "$dir" prepare
}

# wanted COMPILER DIR: which of the objects this configuration has, by what make
# would do.
wanted() {
	kmake "$1" "$2" -n -k \
		arch/powerpc/ drivers/vfio/ drivers/iommu/ mm/ 2>/dev/null |
		grep -oE '[^ ]+\.o\b' |
		sed 's,arch/powerpc/kvm/\.\./\.\./\.\./,,' |
		sort -u | grep -xFf "$WORK/objects" || true
}

# compile COMPILER DIR: what is new, then what is changed.
compile() {
	local o rc=0
	wanted "$1" "$2" >"$WORK/wanted"
	if [ ! -s "$WORK/wanted" ]; then
		echo "error: make would compile none of them"
		return 1
	fi
	o=$(grep -xFf "$WORK/new" "$WORK/wanted" | paste -sd' ') || true
	# shellcheck disable=SC2086
	[ -z "$o" ] || kmake "$1" "$2" -k W=1 KCFLAGS=-Werror $o || rc=1
	o=$(grep -vxFf "$WORK/new" "$WORK/wanted" | paste -sd' ') || true
	# shellcheck disable=SC2086
	[ -z "$o" ] || kmake "$1" "$2" -k KCFLAGS=-Werror $o || rc=1
	return $rc
}

# one NAME COMPILER CONFIG [SYMBOL=value...]
one() {
	local name=$1 compiler=$2 dir=$WORK/$1 rc=0
	if ! can "$compiler"; then
		printf 'SKIP\tconfigs\t%s\t%s is not installed\n' "$name" \
			"$compiler"
		return
	fi
	rm -rf "$dir"
	mkdir -p "$dir"
	# step() ends the script that fails: the others are tried all the same.
	(step "configs: $name" "$LOGS/configs-$name.log" build "$compiler" \
		"$dir" "${@:3}") || rc=$?
	[ $rc -lt 128 ] || exit $rc
	if [ $rc = 0 ]; then
		printf 'PASS\tconfigs\t%s\t%s objects\n' \
			"$name" "$(wc -l <"$WORK/wanted")"
		rm -rf "$dir"
	else
		printf 'FAIL\tconfigs\t%s\tsee %s\n' "$name" \
			"$LOGS/configs-$name.log"
		BAD=1
	fi
}

build() { configure "$@" && compile "$1" "$2"; }

"$HARNESS/tree.sh" >/dev/null
take_lock
need_space 2 "other configurations"
for c in ${CONFIGS:-}; do
	grep -qE "^$c[[:space:]]" "$LIST" ||
		die "CONFIGS=$c: no such configuration; there are:" \
			"$(sed '/^#/d; /^$/d' "$LIST" | cut -f1 | paste -sd' ')"
done
WORK=$OUT/configs
mkdir -p "$WORK"
objects_of series AM >"$WORK/objects"
objects_of series A >"$WORK/new"
while read -r -a line; do
	[ -z "${CONFIGS:-}" ] || [[ " $CONFIGS " == *" ${line[0]} "* ]] ||
		continue
	one "${line[@]}" </dev/null
done < <(sed '/^#/d; /^$/d' "$LIST")
exit $BAD
