#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# run.sh [-shell | -gdb | -stock | -demo] MACHINE FLAVOUR: boot one machine with
# one kernel, run the test programs (T= narrows) and judge the run.
#
# Everything about the run is kept in $OUT/results/DATE-MACHINE-FLAVOUR, whose
# path is the only line on stdout; -demo shows there what the programs say, as
# they say it. The exit status is 0 when the run was good.
. "$(dirname "$0")/lib.sh"

usage() { die "usage: run.sh [-shell|-gdb|-stock|-demo] MACHINE FLAVOUR"; }

MODE='test'
case ${1:-} in
-shell | -gdb | -stock | -demo) MODE=${1#-}; shift ;;
esac
[ $# -eq 2 ] || usage
MACHINE=$1 FLAVOUR=$2
[ -f "$HARNESS/machines/$MACHINE" ] || die "no such machine: $MACHINE"

KERNEL=$OUT/kernel-$FLAVOUR/vmlinux
CPIO=$OUT/initramfs.cpio.gz
MODULES=$(modules "$FLAVOUR" | tr ' ' ,)
[ -z "$MODULES" ] || CPIO=$OUT/initramfs-$FLAVOUR.cpio.gz
# Debian with K=distro as a package, by deb-check.sh.
[ "$FLAVOUR" != installed ] || CPIO=$OUT/installed/initrd.img

# The base with the fixes alone: what must pass is a list, for want of all that
# the tests ask for beside that.
MUST=$HARNESS/fixes/$MACHINE
case $MODE:$FLAVOUR in
test:fixes*)
	[ -f "$MUST" ] ||
		die "$MUST is missing: what must pass on $MACHINE with the" \
			"fixes alone"
	MODE=fixes ;;
esac

# The value of KEY: that in the file OVERRIDE, which is for all machines and may
# say that there is none, or else that in the data of the machine.
data() {
	if [ -n "${OVERRIDE:-}" ] && grep -q "^$1:" "$OVERRIDE"; then
		says "$1" "$OVERRIDE"
	else
		machine_says "$1" "$MACHINE"
	fi
}

# The values in both files.
both() {
	machine_says "$1" "$MACHINE"
	[ -z "${OVERRIDE:-}" ] || says "$1" "$OVERRIDE"
}

# QEMU of this machine, or the version that the data asks for.
if [ -z "${QEMU_SYSTEM:-}" ]; then
	QEMU_SYSTEM=qemu-system-ppc64 VERSION=$(data emulator)
	[ -z "$VERSION" ] || QEMU_SYSTEM=$("$HARNESS/find-qemu.sh" "$VERSION")
fi

DISK=$(data disk)
[ -z "$DISK" ] || DISK=$OUT/$DISK-$FLAVOUR.img
# Empty disks, scratch1 and so on, that the run keeps.
SCRATCH=$(data scratch)

# Seconds for one program. What checks memory or locks is slow, and so are
# programs that repeat a call for each of its allocations.
program_limit() {
	local limit=${PROGRAM_TIMEOUT:-300}
	case $FLAVOUR in *-debug* | *-faults*) limit=$((limit * 4)) ;; esac
	echo "$limit"
}

# The kernel runs its KUnit suites before PID 1, which passes on what they said:
# those that are asked for, or all of them in a run of all tests.
kunit() {
	local - suite part pattern one='' suites=''
	set -f
	while read -r suite part; do
		has_part "$FLAVOUR" "$part" || continue
		[ -n "$TESTS" ] || [ "$MODE" != test ] || suites=$suites,$suite
		for pattern in ${TESTS//,/ }; do
			# shellcheck disable=SC2254
			case $suite/kunit:$suite in
			${pattern%%/*}/* | */${pattern%%/*})
				suites=$suites,$suite
				one=$suite
				[ "$pattern" = "${pattern#*/}" ] ||
					one=$one.${pattern#*/} ;;
			esac
		done
	done < <(cat "$HARNESS/kunit" "$ROOT/bases/$BASE/kunit" 2>/dev/null |
		sed '/^#/d')
	case $FLAVOUR:$suites in
	distro:* | installed:*) return ;; # has no KUnit
	stock* | *:) echo "kunit.enable=0"; return ;;
	esac
	echo "harness_kunit=${suites#,}"
	case ${suites#,} in
	*,*) ;;
	*) [ -z "$one" ] || echo "kunit.filter_glob=$one" ;;
	esac
}

append() {
	local tests
	tests=$(echo "$TESTS" | tr -s ' ' ,)
	echo "console=hvc0 harness_timeout=$(program_limit)"
	case $FLAVOUR in
	installed) echo "root=/dev/vda rw init=/init" ;;
	*) echo "rdinit=/init" ;;
	esac
	both append
	echo "harness_hugepages=$(data hugepages)"
	[ -z "$MODULES" ] || echo "harness_modules=$MODULES"
	[ -z "$tests" ] || echo "harness_tests=$tests"
	[ -z "${WORDS:-}" ] || echo "$WORDS"
	kunit
	case $MODE in
	shell | gdb) echo "harness_mode=shell" ;;
	stock) echo "VFIO_TEST_STOCK=1" ;;
	fixes) echo "VFIO_TEST_STOCK=fixes" ;;
	*) echo "panic_on_warn=1" ;;
	esac
	# Debian's kernel would stay where it is, ours are built so that they
	# end. It has a watchdog of 10 s for a processor that the emulator may
	# leave for longer.
	case $FLAVOUR in
	distro | installed) echo "panic=-1 watchdog_thresh=60" ;;
	esac
}

# One argument of QEMU per line; a folder name may hold blanks.
qemu_args() {
	local n words image raw=format=raw log=$DIR/console.log
	# shellcheck disable=SC2046
	printf '%s\n' $(both qemu) -smp "$(data cpus)" -m "$(data memory)"
	printf '%s\n' -display none -no-reboot
	[ -z "$DISK" ] || printf '%s\n' \
		-drive "if=none,id=disk,file=$DISK,$raw,snapshot=on" \
		-drive "if=none,id=files,file=$OUT/files.img,$raw,snapshot=on"
	image=$OUT/installed/root.img
	[ "$FLAVOUR" != installed ] || printf '%s\n' \
		-drive "if=none,id=root,file=$image,$raw,snapshot=on" \
		-device "virtio-blk-pci,drive=root,bus=$(data root-bus)"
	for n in $(seq 1 "${SCRATCH:-0}"); do
		printf '%s\n' -drive \
			"if=none,id=scratch$n,file=$DIR/scratch$n.img,$raw"
	done
	[ -z "${PLUGIN:-}" ] || printf '%s\n' -plugin "$PLUGIN,out=$DIR/counts"
	printf '%s\n' -kernel "$KERNEL" -initrd "$CPIO"
	words=$(append | paste -sd' ' | tr -s ' ')
	printf '%s\n' -append "$words"
	printf '%s\n' -device "virtio-serial-pci,bus=$(data report-bus)" \
		-chardev "file,id=report,path=$DIR/report.log" \
		-device virtserialport,chardev=report,name=report
	case $MODE in
	shell | gdb)
		printf '%s\n' -chardev \
			"stdio,id=con,mux=on,signal=off,logfile=$log" \
			-serial chardev:con -mon chardev=con ;;
	*)
		printf '%s\n' -monitor none \
			-chardev "file,id=con,path=$log" -serial chardev:con ;;
	esac
	[ "$MODE" != gdb ] || printf '%s\n' -S -s
}

# A folder that no other run has, and a link to it.
make_dir() {
	local base n=1
	base=$OUT/results/$(date +%Y%m%d-%H%M%S)-$MACHINE-$FLAVOUR
	mkdir -p "$OUT/results"
	DIR=$base
	until mkdir "$DIR" 2>/dev/null; do
		n=$((n + 1))
		DIR=$base.$n
	done
	ln -sfn "${DIR##*/}" "$OUT/results/latest"
}

write_command() {
	local a
	echo '#!/bin/sh'
	printf "exec '%s'" "$QEMU_SYSTEM"
	for a in "${ARGS[@]}"; do
		printf ' \\\n\t%s' "'${a//\'/\'\\\'\'}'"
	done
	echo
}

QEMU=
# shellcheck disable=SC2317
stop() {
	trap - INT TERM HUP
	[ -z "$QEMU" ] || kill -KILL "$QEMU" 2>/dev/null || true
	echo interrupted >"$DIR/ended"
	say ""
	say "stopped $MACHINE; what it said is in $DIR"
	exit 130
}

# Signs of life of a guest: the number of bytes that it has written.
written() { cat "$DIR/console.log" "$DIR/report.log" 2>/dev/null | wc -c; }

# Wait for QEMU. A guest that says nothing for longer than one program may take
# hangs; so does one that takes longer than all of it together may.
watch_qemu() {
	local silent total=$((SECONDS + ${RUN_TIMEOUT:-3600})) last=$SECONDS \
		was=0 is rc=0
	silent=$(($(program_limit) + 90))
	while kill -0 "$QEMU" 2>/dev/null; do
		sleep 0.3
		is=$(written)
		[ "$is" = "$was" ] || last=$SECONDS
		was=$is
		if [ $((SECONDS - last)) -gt $silent ]; then
			kill -KILL "$QEMU"
			wait "$QEMU" 2>/dev/null || true
			echo "silent $silent" >"$DIR/ended"
			return
		elif [ $SECONDS -gt $total ]; then
			kill -KILL "$QEMU"
			wait "$QEMU" 2>/dev/null || true
			echo "timeout ${RUN_TIMEOUT:-3600}" >"$DIR/ended"
			return
		fi
	done
	wait "$QEMU" 2>/dev/null || rc=$?
	QEMU=
	echo "exit $rc" >"$DIR/ended"
}

# QEMU dies with this script, even when that is killed hard.
start_qemu() {
	setpriv --pdeathsig KILL "$QEMU_SYSTEM" "${ARGS[@]}" \
		</dev/null >"$DIR/qemu.log" 2>&1 &
	QEMU=$!
}

# The words of the programs, without what PID 1 says itself.
follow() {
	tail -n +1 -f --pid="$QEMU" "$DIR/report.log" 2>/dev/null | sed -u -n \
		'/^@begin init:/,/^@end/d; /^@begin /,/^@end /{ /^@/!p }'
}

# V=1: what the guest says, as it says it.
show_all() {
	tail -q -n +1 -f --pid="$QEMU" "$DIR/console.log" "$DIR/report.log" \
		>&2 &
}

run_demo() {
	local tail_pid
	say "booting $MACHINE: $(data about)"
	start_qemu
	follow &
	tail_pid=$!
	watch_qemu
	wait $tail_pid || true
}

run_interactive() {
	local rc=0
	if [ "$MODE" = gdb ]; then
		have gdb-multiarch ||
			say "gdb is missing: apt install gdb-multiarch"
		say "the machine waits; in another window:"
		say "  gdb-multiarch $KERNEL -ex 'target remote :1234'"
	fi
	say "to leave: type poweroff in the guest, or press Ctrl-A X"
	"$QEMU_SYSTEM" "${ARGS[@]}" || rc=$?
	echo "exit $rc" >"$DIR/ended"
	say "the console is kept in $DIR/console.log"
	exit $rc
}

for f in "$KERNEL" "$CPIO" $DISK; do
	[ -f "$f" ] || die "$f is missing: run make kernel initramfs first"
done
make_dir
for n in $(seq 1 "${SCRATCH:-0}"); do
	truncate -s 16M "$DIR/scratch$n.img"
done
mapfile -t ARGS < <(qemu_args)
write_command >"$DIR/qemu-cmd"
chmod +x "$DIR/qemu-cmd"
cp "$OUT/kernel-$FLAVOUR/.config" "$DIR/config"
echo "$MODE $(data mmu)" >"$DIR/args"
[ "$MODE" != fixes ] || sed '/^#/d' "$MUST" >"$DIR/must-pass"
: >"$DIR/report.log"
: >"$DIR/console.log"
case $MODE in
shell | gdb) run_interactive ;;
esac
rc=0
trap stop INT TERM HUP
if [ "$MODE" = demo ]; then
	run_demo
	"$HARNESS/judge-run.sh" "$DIR" demo "$(data mmu)" || rc=$?
	# The output of the program was shown already.
	[ $rc -eq 0 ] || sed '/^    /d; s/^/  /' "$DIR/failures" >&2
	say "the whole run is kept in $DIR"
else
	echo "$DIR"
	start_qemu
	[ -z "$VERBOSE" ] || show_all
	watch_qemu
	"$HARNESS/judge-run.sh" "$DIR" "$MODE" "$(data mmu)" || rc=$?
fi
exit $rc
