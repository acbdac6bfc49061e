#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tools/testing/kunit/kunit.py of Linux 6.12.117 and 7.3-rc7 (Debian's linux-source-6.12
# 6.12.117-1~deb12u1, linux-source-7.3 7.3~rc7-1~exp1): "kunit.py parse" has no status
# for what was skipped. Where all tests are skipped, which is what a machine without the
# hardware answers, it prints "skipped: 2" and no failure, and exits with 1. The report
# that kselftest.h writes for a program that is skipped as a whole, "1..0 # SKIP reason",
# is "0 tests run!", an error, and 1. One test that passes beside them makes it 0.
#
# On the other hand a result beyond the number that was announced is not read at all: a
# program that announces two tests and reports a third, failed one, has passed with 0.
#
# Who reads the output of kselftests by it must count skips himself, and check the plan.
#
# Needs: an apt set up for Debian on amd64, python3, 1 GB in TMPDIR.
set -eu -o pipefail

TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
cd "$TMP"

apt-get -qq download linux-source-6.12=6.12.117-1~deb12u1

# An apt of its own: the machine's archive, other suites.
# shellcheck disable=SC2016
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	'Origin: Debian' 'Component: main' | head -n 1)
[ -n "$uri" ] || { echo "this machine is set up for no archive of Debian"; exit 1; }
mkdir -p apt/lists/partial apt/cache/archives/partial
for suite in sid experimental; do
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main"
done >apt/sources
cat >apt/conf <<-EOF
	Dir::Etc::sourcelist "$TMP/apt/sources";
	Dir::Etc::sourceparts "-";
	Dir::State::lists "$TMP/apt/lists";
	Dir::Cache "$TMP/apt/cache";
	Acquire::Languages "none";
	APT::Sandbox::User "root";
EOF
export APT_CONFIG=$TMP/apt/conf
apt-get -qq update
apt-get -qq download 'linux-source-7.3=7.3~rc7-1~exp1'

# look VERSION NAME STATUS SUMMARY LINE...: the report, and what must come of it
look() {
	local rc=0 summary
	printf '%s\n' "${@:5}" >report
	python3 "$1/tools/testing/kunit/kunit.py" parse "$TMP/report" >out 2>&1 || rc=$?
	summary=$(sed -n 's/.*Testing complete\. //p' out)
	printf '%-5s %-26s status %s: %s\n' "$1" "$2" $rc "$summary"
	[ $rc = "$3" ] || { echo "CHANGED: status of $2"; exit 1; }
	[ "$summary" = "$4" ] || { echo "CHANGED: summary of $2"; exit 1; }
}

for v in 6.12 7.3; do
	dpkg-deb --fsys-tarfile linux-source-$v*.deb |
		tar xO "./usr/src/linux-source-$v.tar.xz" |
		tar xJ --strip-components=1 --one-top-level=$v \
			"linux-source-$v/tools/testing/kunit"
	look $v 'all skipped' 1 'Ran 2 tests: skipped: 2' \
		'KTAP version 1' 1..2 'ok 1 a # SKIP no device' 'ok 2 b # SKIP no device'
	look $v 'skipped as a whole' 1 'Ran 0 tests: errors: 1' \
		'TAP version 13' '1..0 # SKIP no device'
	look $v 'one of two skipped' 0 'Ran 2 tests: passed: 1, skipped: 1' \
		'KTAP version 1' 1..2 'ok 1 a' 'ok 2 b # SKIP no device'
	look $v 'failed beyond the plan' 0 'Ran 2 tests: passed: 2' \
		'KTAP version 1' 1..2 'ok 1 a' 'ok 2 b' 'not ok 3 c'
done
