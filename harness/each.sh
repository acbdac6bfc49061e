#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build every commit of the series in turn: none may break the kernel. A commit
# that was built before is not built again.
. "$(dirname "$0")/lib.sh"

SRC=$OUT/each/tree
DONE=$OUT/each.done

checkout() {
	if [ ! -f "$SRC/.git" ] || ! git -C "$SRC" rev-parse -q HEAD >/dev/null 2>&1; then
		rm -rf "$SRC"
		gitb worktree prune
		gitb worktree add -q --no-checkout --detach "$SRC" "$1"
	fi
	rm -f "$(git -C "$SRC" rev-parse --git-path index.lock)"
	git -C "$SRC" reset -q --hard "$1"
}

mkdir -p "$OUT/each"
touch "$DONE"
n=0
count=$(gitb rev-list --count base..series)
for commit in $(gitb rev-list --reverse base..series); do
	n=$((n + 1))
	title=$(gitb log -1 --format=%s "$commit")
	key="$(gitb rev-parse "$commit^{tree}") $(cat "$HARNESS"/config/* "$ROOT/bases/$BASE/config" | hash_of)"
	if ! grep -qxF "$key" "$DONE"; then
		(take_lock; checkout "$commit")
		"$HARNESS/kernel.sh" each >/dev/null ||
			die "patch $n of $count does not build: $title"
		echo "$key" >>"$DONE"
	fi
	say "  $n/$count builds: $title"
done
