#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Repeat the last QEMU command as it was, in the same folder, and judge it
# again.
. "$(dirname "$0")/lib.sh"

DIR=$(readlink -f "$OUT/results/latest") || DIR=
[ -x "$DIR/qemu-cmd" ] || die "there is no run to repeat in $OUT/results"
read -r mode mmu <"$DIR/args" || true
say "repeating $DIR/qemu-cmd"
rc=0
"$DIR/qemu-cmd" 2>"$DIR/qemu.log" || rc=$?
echo "exit $rc" >"$DIR/ended"
case $mode in
shell | gdb) exit $rc ;;
esac
rc=0
"$HARNESS/judge-run.sh" "$DIR" "$mode" "$mmu" || rc=$?
cat "$DIR/failures"
say "$(head -n 1 "$DIR/verdict"); the whole run is kept in $DIR"
exit $rc
