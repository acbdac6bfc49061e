# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Common to all scripts of the harness: sourced, never run.
#
# Messages for a person go to stderr; stdout carries results only (the path of a
# vmlinux, the list of test results), so that it can be used by a script.

set -eu -o pipefail

# Variables of our make must not become variables of the kernel's make.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL GNUMAKEFLAGS M T K V O
export LC_ALL=C
# A person's git configuration must not change what is built.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

HARNESS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$HARNESS")
: "${TOP:=$ROOT/build}" "${JOBS:=$(nproc)}"
: "${MACHINES:=}" "${TESTS:=}" "${KERNELS:=}" "${VERBOSE:=}" "${LINUX:=}"
: "${PAGES:=}" "${DEBUG:=}" "${SIGNOFF:=}" "${WIP:=}" "${PROFILE:=}"
: "${RUNS:=}" "${ACCEPT:=}" "${ALL:=}" "${PART:=}"

# Of the random tests of the host, with these the mutants of docs/reliability.md
# were tried.
HOST_STEPS=200000
CROSS=powerpc64le-linux-gnu-
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

all_bases() { (cd "$ROOT/bases" && echo [0-9]*); }

# The parts of the series in their order: folders of patches/ without the
# letter. Its callers may have turned globs off.
all_parts() {
	(set +f; cd "$ROOT/patches" && echo [a-z]-*/) |
		sed 's,[a-z]-\([^/]*\)/,\1,g'
}
# The last commit of a part is refs/parts/NAME.
is_part() { case " $(all_parts) " in *" $1 "*) ;; *) return 1 ;; esac }

# has_part FLAVOUR PART: is this part of the series in the kernel?
has_part() {
	local p
	case $1 in
	stock*) return 1 ;;
	esac
	for p in $(all_parts); do
		[ "$p" != "$2" ] || return 0
		[ "$p" != "${1%%-*}" ] || return 1
	done
}

# base_says KEY [BASE]
base_says() { sed -n "s/^$1: *//p" "$ROOT/bases/${2:-$BASE}/base"; }

# linux_version TREE or TARBALL: nothing where it is none.
linux_version() {
	{
		if [ -f "$1" ]; then
			tar -xOf "$1" --occurrence=1 --wildcards \
				--no-wildcards-match-slash '*/Makefile'
		else
			cat "$1/Makefile"
		fi
	} 2>/dev/null | awk '
		$2 == "=" { v[$1] = $3 }
		$1 == "EXTRAVERSION" {
			print v["VERSION"] "." v["PATCHLEVEL"] "." \
				v["SUBLEVEL"] $3
			exit
		}' || true
}

# The base for a Linux of this version; nothing where there is none.
base_for() {
	local b
	for b in $(all_bases); do
		! echo "$1" | grep -qxE "$(base_says version "$b")" || echo "$b"
	done
}

# The base of the series, a folder of bases/: that of BASE=, or the one that
# fits LINUX=, or this.
if [ -n "$LINUX" ] && [ -z "${BASE:-}" ]; then
	[ -e "$LINUX" ] || die "LINUX=$LINUX does not exist"
	VERSION=$(linux_version "$LINUX")
	[ -n "$VERSION" ] || die "LINUX=$LINUX is not a Linux source tree"
	BASE=$(base_for "$VERSION")
	[ -n "$BASE" ] ||
		die "LINUX=$LINUX is Linux $VERSION:" \
			"the series is for $(all_bases | tr ' ' ,)"
fi
: "${BASE:=6.12}"
[ -f "$ROOT/bases/$BASE/base" ] ||
	die "BASE=$BASE: there is no such base; there are: $(all_bases)"
export TOP BASE
# Each base has a build folder of its own. What is fetched is in $TOP for all of
# them.
OUT=$TOP
[ "$BASE" = 6.12 ] || OUT=$TOP/$BASE

GITDIR=$OUT/linux.git		# one repository: the base and the series
PRISTINE=$OUT/base		# work tree of the base, never changed
TREE=$OUT/tree			# work tree of the series
LOGS=$OUT/log
# A fixed identity and date make the commits of the base reproducible.
EPOCH=1767225600

# at_least VERSION WANTED
at_least() {
	[ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

qemu_version() {
	"$1" --version | sed -n '1s/.*version \([0-9]*\.[0-9]*\).*/\1/p'
}

# The name of this machine's Debian, and where its packages come from.
release() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }
archive() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
		'Origin: Debian' "Codename: $(release)" 'Component: main' |
		head -n 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# The repository has no work tree of its own.
gitb() { git --git-dir="$GITDIR" "$@"; }

# objects_of COMMIT FILTER: what the compiler is asked for of what is added (A)
# or changed (M) there: of the kernel, what no other source includes.
objects_of() {
	local f
	gitb diff --no-renames --diff-filter="$2" --name-only base "$1" -- \
		arch drivers kernel mm virt | grep '\.[cS]$' |
	while read -r f; do
		gitb grep -qE "#include \"(tests/)?${f##*/}\"" "$1" \
			-- "${f%/*}" "${f%/tests/*}" ||
			echo "${f%.*}.o"
	done
}

# Only one make at a time builds in $OUT. The lock's descriptor is inherited,
# so it lasts until the last child is gone, even when this script was killed.
# take_lock [FOLDER]
take_lock() {
	mkdir -p "${1:-$OUT}" "$LOGS"
	exec 9>"${1:-$OUT}/lock"
	flock -n 9 && return
	say "waiting for another make that builds in ${1:-$OUT}"
	flock 9
}

# checkout_tree PATH COMMIT
checkout_tree() {
	if [ ! -f "$1/.git" ] ||
	   ! git -C "$1" rev-parse -q HEAD >/dev/null 2>&1; then
		rm -rf "$1"
		gitb worktree prune
		gitb worktree add -q --no-checkout --detach "$1" "$2"
	fi
	rm -f "$(git -C "$1" rev-parse --git-path index.lock)"
	git -C "$1" reset -q --hard "$2"
	git -C "$1" clean -qfd
	[ "$(git -C "$1" rev-parse HEAD)" = "$(gitb rev-parse "$2")" ]
}

# need_space GIB WHAT
need_space() {
	local free
	free=$(df -Pk "$OUT" | awk 'NR == 2 { print int($4 / 1024) }')
	[ "$free" -ge $(($1 * 1024)) ] ||
		die "$2 needs $1 GiB in $OUT, only $free MiB are free:" \
			"free some, or give another folder with O="
}

elapsed() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# The part of a log with the cause: the first error, else the end.
log_why() {
	local at what='[Ee]rror|ERROR|fatal|undefined reference|No space left'
	at=$(grep -nEm1 "(^|[ :])($what)" "$1" | cut -d: -f1) || true
	if [ -n "$at" ]; then
		sed -n "$((at > 3 ? at - 3 : 1)),$((at + 8))p" "$1"
	else
		tail -n 20 "$1"
	fi
}

STEP_PID=
stop_step() {
	[ -z "$STEP_PID" ] || kill "$STEP_PID" 2>/dev/null || true
	say ""
	say "stopped; the next make goes on from here"
	exit 130
}

# Show that a long command is alive: on a terminal all the time, in a log once
# in a minute.
watch_step() {
	local pid=$1 what=$2 log=$3 start=$SECONDS t
	while kill -0 "$pid" 2>/dev/null; do
		t=$((SECONDS - start))
		if [ -t 2 ]; then
			printf '\r  %-44s %6s %6d lines' \
				"$what" "$(elapsed $t)" "$(wc -l <"$log")" >&2
		elif [ $t -gt 0 ] && [ $((t % 60)) -eq 0 ]; then
			say "  $what: $(elapsed $t), still running"
			sleep 1
		fi
		sleep 0.5
	done
	[ ! -t 2 ] || printf '\r%70s\r' '' >&2
}

# step WHAT LOG COMMAND...: run a long command, its output in a log.
step() {
	local what=$1 log=$2 start=$SECONDS rc=0
	shift 2
	mkdir -p "$(dirname "$log")"
	if [ -n "$VERBOSE" ]; then
		say "  $what"
		# Not in a list of commands, where errors in a function do not
		# end it
		"$@" > >(tee "$log" >&2) 2>&1 </dev/null &
		wait $! || rc=$?
	else
		: >"$log"
		"$@" >"$log" 2>&1 </dev/null &
		STEP_PID=$!
		trap stop_step INT TERM HUP
		watch_step "$STEP_PID" "$what" "$log"
		wait "$STEP_PID" || rc=$?
		trap - INT TERM HUP
		STEP_PID=
	fi
	if [ $rc -ne 0 ]; then
		log_why "$log" >&2
		die "$what failed; the whole log is $log"
	fi
	[ $((SECONDS - start)) -lt 2 ] ||
		say "$(printf '  %-44s %6s' "$what" \
			"$(elapsed $((SECONDS - start)))")"
}

# is_done STAMP KEY: was this made from the same input before?
is_done() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }
set_done() { printf '%s\n' "$2" >"$1.new" && mv "$1.new" "$1"; }

hash_of() { sha256sum | cut -c1-20; }

# The flavour of kernel that PAGES= and DEBUG= ask for: flavour stock|series
flavour() {
	local name=$1
	case $PAGES in
	''|64k) ;;
	4k) name=$name-4k ;;
	*) die "PAGES=$PAGES: only 4k and 64k are known" ;;
	esac
	[ -z "$DEBUG" ] || name=$name-debug
	echo "$name"
}

# Modules that a test guest loads if the flavour has VFIO and KVM as modules,
# with the drivers of the disks and network cards of its machine, if they are
# modules too.
modules() {
	case $1 in
	*-modular*) echo kvm kvm-hv kvm-pr vfio vfio-pci vfio_iommu_spapr_tce ;;
	distro | installed)
		echo kvm kvm-hv vfio vfio-pci vfio_iommu_spapr_tce \
			ext4 brd nvme e1000e virtio_blk ;;
	esac
}

# needed_modules FOLDER VERSION MODULE...: their files and those of what they
# need, also of what is only named in one, as paths in lib/modules/VERSION.
needed_modules() {
	local from=$1 version=$2 m
	shift 2
	for m in "$@"; do
		/sbin/modprobe -d "$from" -S "$version" --show-depends "$m" ||
			die "the kernel $version has no module $m"
	done | sed -n "s|^insmod $from/*lib/modules/$version/\([^ ]*\).*|\1|p" |
		sort -u
}

# slots KIB MOST: how many machines that touch so much memory run beside each
# other.
slots() {
	awk -v each="$1" -v most="$2" '/^MemAvailable:/ {
		n = int($2 / each)
		print n < 1 ? 1 : n < most ? n : most
	}' /proc/meminfo
}

# wait_jobs NUMBER [COMMAND...]: until no more than so many jobs run; the
# command is run again and again.
wait_jobs() {
	local most=$1
	shift
	while [ "$(jobs -rp | wc -l)" -gt "$most" ]; do
		"${@:-:}"
		sleep 0.2
	done
}

all_machines() { (cd "$HARNESS/machines" && echo *); }

# says KEY FILE: the values of KEY in the data of a machine, or any file like
# it, all on one line. A key that a machine does not have is that of the one
# that it is like.
says() { sed -n "s/^$1: *//p" "$2" | paste -sd' '; }
machine_says() {
	local file=$HARNESS/machines/$2
	if grep -q '^like:' "$file" && ! grep -q "^$1:" "$file"; then
		machine_says "$1" "$(says like "$file")"
	else
		says "$1" "$file"
	fi
}

# Contents of the disk of a machine; nothing if it has none.
disk() { machine_says disk "$1"; }

# The version of QEMU that a machine needs; nothing where any does.
emulator() { machine_says emulator "$1"; }

# The machines asked for, checked; $1 = default.
machines() {
	local m
	for m in ${MACHINES:-$1}; do
		[ -f "$HARNESS/machines/$m" ] ||
			die "M=$m: no such machine; there are: $(all_machines)"
		echo "$m"
	done
}
