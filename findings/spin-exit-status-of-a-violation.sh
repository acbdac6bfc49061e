#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Spin 6.5.2 (Debian 12, package spin 6.5.2+dfsg-1): a simulation exits with 1 where
# an assertion fails. The search does not: "spin -search", the verifier (pan) that
# "spin -a" makes and the replay of the error that it found exit with 0 whatever they
# find, and also where the verifier gave up. With a search depth that is too small it
# says so in one line, and the line that sums up still has "errors: 0", although the
# same model has an error some steps further down.
#
# A check in a build or in CI that goes by the status always passes, and one that looks
# for "errors: 0" passes where most of the model was never visited. Both this line and
# "max search depth too small", "Search not completed" and "out of memory" have to be
# looked for; a mutant of the model that must be refused shows whether a check can fail.
#
# Needs: an apt set up for Debian on amd64, gcc.
set -eu -o pipefail

TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
cd "$TMP"

apt-get -qq download spin=6.5.2+dfsg-1
dpkg-deb -x spin_*.deb root
PATH=$TMP/root/usr/bin:$PATH

# a counter without a lock, and one that is wrong after 200 steps
cat >lost.pml <<'END'
byte x, done;
active [2] proctype add() { byte t; t = x; x = t + 1; done++ }
active proctype look() { done == 2; assert(x == 2) }
END
cat >deep.pml <<'END'
int n;
active proctype count() { do :: n < 100 -> n++ :: else -> break od; assert(n != 100) }
END

# look NAME STATUS PATTERN COMMAND...: what must be the status, and be in the output
look() {
	local rc=0
	"${@:4}" >out 2>&1 || rc=$?
	printf '%-26s status %s: %s\n' "$1" $rc "$(grep -m 1 -o -- "$3" out || echo -)"
	[ $rc = "$2" ] || { echo "CHANGED: status of $1"; exit 1; }
	grep -q -- "$3" out || { echo "CHANGED: output of $1"; exit 1; }
}

spin -V
look 'spin (simulation)' 1 'assertion violated' spin deep.pml
look 'spin -search' 0 'errors: 1' spin -search lost.pml
spin -a lost.pml
gcc -w -o pan pan.c
look 'pan' 0 'errors: 1' ./pan
look 'spin -t (replay)' 0 'assertion violated' spin -t lost.pml

spin -a deep.pml
gcc -w -o pan pan.c
look 'pan' 0 'errors: 1' ./pan
look 'pan -m20, what it notes' 0 'max search depth too small' ./pan -m20
look 'pan -m20, what it sums up' 0 'errors: 0' ./pan -m20
