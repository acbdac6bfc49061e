#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Repeat the last QEMU command as it was, and judge it again.
. "$(dirname "$0")/lib.sh"

LAST=$(readlink -f "$OUT/results/latest") 2>/dev/null || LAST=
[ -x "$LAST/qemu-cmd" ] || die "there is no run to repeat in $OUT/results"
say "repeating $LAST/qemu-cmd"
rc=0
"$LAST/qemu-cmd" || rc=$?
say "QEMU's exit status: $rc; console and report are in $LAST"
exit $rc
