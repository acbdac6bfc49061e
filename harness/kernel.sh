#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernel.sh FLAVOUR [TARGET...]: build one kernel in $OUT/kernel-FLAVOUR and
# print the path of its vmlinux, or compile only these objects or folders.
# FLAVOUR is stock, series or a part of the series, which is the base with the
# series up to there; then any of -4k -debug -faults -modular. `each` is the
# commit of the series that each.sh has checked out, `each-bare` the same
# without KVM, VFIO and the API that they use, `mutants` what mutants.sh has
# made of the series.
. "$(dirname "$0")/lib.sh"

NAME=$1
DIR=$OUT/kernel-$NAME
CONFIG=$HARNESS/config

fragments() {
	case $NAME in
	*-bare) echo base "$BASE" pseries powernv; return ;;
	distro) echo distro; return ;;
	esac
	echo base "$BASE" pseries powernv kvm vfio test
	case $NAME in *-debug*) echo debug ;; esac
	case $NAME in *-debug* | *-faults*) echo faults ;; esac
	case $NAME in *-modular*) echo modular ;; esac
	case $NAME in *-4k*) echo pages4k ;; esac
	# Symbols that only the series has.
	case $NAME in
	stock*) ;;
	*) [ ! -f "$CONFIG/series.config" ] || echo series ;;
	esac
	case $NAME in
	series* | mutants)
		[ ! -f "$ROOT/bases/$BASE/series.config" ] ||
			echo "$BASE-series" ;;
	esac
}

# The paths that the compiler sees are relative, so that the compiler cache also
# knows what was compiled in another build folder. WARN() and the like then need
# the prefix to remove from the name of a file.
kmake() {
	CCACHE_BASEDIR=$OUT CCACHE_NOHASHDIR=1 \
	make -C "$SRC" O="$DIR" ARCH=powerpc CROSS_COMPILE="$CROSS" \
		KCFLAGS="-fmacro-prefix-map=../$(basename "$SRC")/=" \
		CC="${CCACHE}${CROSS}gcc" HOSTCC="${CCACHE}gcc" LOCALVERSION= \
		KBUILD_BUILD_USER=harness KBUILD_BUILD_HOST=harness \
		KBUILD_BUILD_TIMESTAMP="$(date -u -d "@$EPOCH")" -j"$JOBS" "$@"
}

# A fragment; what the series adds is not there yet in its first commits and
# parts.
fragment() {
	local line symbol
	case $NAME:$1 in
	*:"$BASE") cat "$ROOT/bases/$BASE/config"; return ;;
	*:"$BASE-series") cat "$ROOT/bases/$BASE/series.config"; return ;;
	series*:series | mutants:series) cat "$CONFIG/$1.config"; return ;;
	*:series) ;;
	*) cat "$CONFIG/$1.config"; return ;;
	esac
	while IFS='=' read -r symbol line; do
		! grep -rqxE --include='Kconfig*' \
			"(menu)?config ${symbol#CONFIG_}" \
			"$SRC"/{arch/powerpc,drivers/vfio,lib/kunit} ||
			echo "$symbol=$line"
	done <"$CONFIG/$1.config"
}

# One line for each symbol; a later fragment wins over an earlier one.
merge_fragments() {
	local f
	for f in $(fragments); do fragment "$f"; done |
		awk -F= '/^CONFIG_/ {
			if (!($1 in value)) order[++n] = $1
			value[$1] = $2
		}
		END {
			for (i = 1; i <= n; i++)
				print order[i] "=" value[order[i]]
		}'
}

# Options that were asked for but differ in the .config.
not_taken() {
	awk -F= '
	NR == FNR { if (/^CONFIG_/) got[$1] = $2; next }
	{ have = ($1 in got) ? got[$1] : "n"
	  if (have != $2) print $1 "=" $2 " became " have }
	' "$DIR/.config" "$DIR/wanted.config"
}

# Debian's own configuration with those modules only that distro.modules names.
debian_config() {
	[ "$NAME" = distro ] || return 0
	sed '/^#/d; s/.*/CONFIG_(&)=m/' "$CONFIG/distro.modules" |
		grep -xEf - -e '.*=[^m].*' "$DEBIAN"/boot/config-*
}

# Modules that were asked for, and depend on something that was not.
not_built() {
	debian_config | sed -n 's/=m$//p' |
		grep -vxFf <(sed -n 's/=[my]$//p' "$DIR/.config") |
		paste -sd' '
}

configure() {
	local missing
	merge_fragments >"$DIR/wanted.config"
	{ debian_config; cat "$DIR/wanted.config"; } >"$DIR/all.config"
	cp "$DIR/.config" "$DIR/.config.before" 2>/dev/null || true
	step "$NAME: configure" "$LOGS/$NAME-config.log" \
		kmake KCONFIG_ALLCONFIG="$DIR/all.config" allnoconfig
	not_taken >"$DIR/not-taken"
	[ ! -s "$DIR/not-taken" ] ||
		die "$NAME: configuration lines that did not take:" \
			"$(paste -sd, "$DIR/not-taken")"
	missing=$(not_built) || true
	[ -z "$missing" ] || say "$NAME: not built, needs other modules in" \
		"harness/config/distro.modules: $missing"
	# An unchanged .config keeps its time: nothing is built for it again.
	! cmp -s "$DIR/.config" "$DIR/.config.before" ||
		mv "$DIR/.config.before" "$DIR/.config"
}

targets() {
	echo vmlinux
	[ -z "$(modules "$NAME")" ] || echo modules
}

# A kernel that was linked has been checked for what real mode must not do.
checked() {
	case $NAME in series* | distro) ;; *) return 0 ;; esac
	[ "$DIR/vmlinux" -ot "$DIR/wanted.config" ] ||
		grep -q '^  CHKRM  ' "$LOGS/$NAME-build.log" ||
		die "$NAME: realmode_check.sh did not run when vmlinux" \
			"was linked"
}

# All of them, and in modroot those that the test guest loads.
install_modules() {
	local version m files
	rm -rf "$DIR/modules" "$DIR/modroot"
	kmake INSTALL_MOD_PATH="$DIR/modules" INSTALL_MOD_STRIP=1 \
		modules_install
	version=$(ls "$DIR/modules/lib/modules")
	# shellcheck disable=SC2046
	files=$(needed_modules "$DIR/modules" "$version" $(modules "$NAME"))
	for m in $files; do
		install -Dm644 "$DIR/modules/lib/modules/$version/$m" \
			"$DIR/modroot/lib/modules/$version/$m"
	done
	/sbin/depmod -b "$DIR/modroot" "$version"
}

# Folders that a kernel is built from: neither documentation nor tests.
sources() {
	gitb ls-tree "$branch:" | grep -vE "\\s(tools|Documentation)\$"
	gitb ls-tree "$branch:tools" | grep -vE "\\stesting\$"
}

# The newest kernel of Debian 13 that can be had; a guest boots it too
# (debian-kernel.sh).
if [ "$NAME" = distro ]; then
	[ "$BASE" = 6.12 ] || die "K=distro is for BASE=6.12"
	DEBIAN=$("$HARNESS/debian-packages.sh" -newest trixie linux-4k \
		'linux-image-[0-9][^-]*-powerpc64le')
fi
take_lock
CCACHE=
! have ccache || CCACHE="ccache "
case $NAME in
stock*) SRC=$PRISTINE branch=base ;;
mutants) SRC=$OUT/mutants/tree DIR=$OUT/mutants/kernel branch=series ;;
series* | distro) SRC=$TREE branch=series ;;
each*)
	# Side by side like the series' own two folders: the compiler cache
	# then sees the same relative paths.
	SRC=$OUT/each/tree DIR=$OUT/each/kernel${NAME#each}
	branch=$(git -C "$SRC" rev-parse HEAD) ;;
*)
	is_part "${NAME%%-*}" || die "no such kernel: $NAME"
	branch=refs/parts/${NAME%%-*}
	SRC=$OUT/part-${NAME%%-*}/tree
	DIR=$OUT/part-${NAME%%-*}/kernel${NAME#"${NAME%%-*}"}
	mkdir -p "$DIR"
	ln -sfn "${DIR#"$OUT/"}" "$OUT/kernel-$NAME"
	checkout_tree "$SRC" "$branch" ;;
esac
# A source tree of this content, this configuration, this compiler, these rules.
if [ $# -gt 1 ]; then
	mkdir -p "$DIR"
	configure
	step "$NAME: compile $(($# - 1)) targets" "$LOGS/$NAME-objects.log" \
		kmake -k "${@:2}"
	exit
fi
KEY=$({ sources; merge_fragments; debian_config; modules "$NAME"
	"${CROSS}gcc" --version; cat "$0"; } | hash_of)

if ! is_done "$DIR/built" "$KEY" || [ ! -f "$DIR/vmlinux" ]; then
	need_space 1 "building the kernel $NAME"
	mkdir -p "$DIR"
	rm -f "$DIR/built"
	configure
	# shellcheck disable=SC2046
	step "$NAME: build the kernel" "$LOGS/$NAME-build.log" kmake $(targets)
	checked
	[ -z "$(modules "$NAME")" ] ||
		step "$NAME: install the modules" "$LOGS/$NAME-modules.log" \
			install_modules
	set_done "$DIR/built" "$KEY"
fi
echo "$DIR/vmlinux"
