#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build every commit of the series, or of PART= and what is before it, in turn: none
# may break the kernel. A commit that was built before is not built again.
. "$(dirname "$0")/lib.sh"

SRC=$OUT/each/tree
DONE=$OUT/each.done
END=series
[ -z "$PART" ] || END=refs/parts/$PART

mkdir -p "$OUT/each"
touch "$DONE"
n=0
count=$(gitb rev-list --count base.."$END")
for commit in $(gitb rev-list --reverse base.."$END"); do
	n=$((n + 1))
	title=$(gitb log -1 --format=%s "$commit")
	key="$(gitb rev-parse "$commit^{tree}") $(cat "$HARNESS"/config/* "$ROOT/bases/$BASE/config" | hash_of)"
	if ! grep -qxF "$key" "$DONE"; then
		(take_lock; checkout_tree "$SRC" "$commit")
		"$HARNESS/kernel.sh" each >/dev/null ||
			die "patch $n of $count does not build: $title"
		echo "$key" >>"$DONE"
	fi
	say "  $n/$count builds: $title"
done
