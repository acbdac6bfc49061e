#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# mutants.sh [check | -try NUMBER MACHINE PROGRAMS]: change one thing at a time
# in the kernel code of the series, and see whether a test notices: first on the
# host, then KUnit, then the test programs. `check` is the short form for make
# test: a few mutants, the tests of the host, results as of any test; one that
# survives fails. -try boots one mutant of the last run's build, and prints what
# notices it.
#
# harness/mutants/mutate.py puts all mutants of a run into one build, in which
# the kernel's parameter mutant=NUMBER turns one of them on: so each costs a
# boot. They are put into copies: $OUT/tree is never changed.
#
# A line for each goes to stdout, and to $OUT/mutants/results by tabs: number,
# file:line:function, kind, what, result, detail. The result is host, kunit,
# programs (what has caught it), survived, or equivalent: the compiler makes the
# same code of it, or harness/mutants/uncaught says why no test can notice it.
# shellcheck disable=SC2317
. "$(dirname "$0")/lib.sh"

if [ "${1:-}" = check ]; then
	export MUTANTS=$OUT/mutants-check BUILDS="16-asan 16-tsan" STAGE=host
	FILES='mm_iommu_trans.c mm_iommu_index.c mm_iommu_hold.c mm_iommu.h'
	export SEED=19 N=10 FILES="$FILES iommu_tce_view.c iommu_tce_view.h"
fi
WORK=${MUTANTS:-$OUT/mutants}
: "${BUILDS:=16-asan 12-asan 16-tsan}"
export SEED=${SEED:-$(date +%s)} N=${N:-100} STAGE=${STAGE:-programs}

# Where the code is; what only prints, or is not built here, is left out.
sources() {
	(cd "$TREE" &&
		ls arch/powerpc/mm/mm_iommu{.h,_{hold,index,pin,trans}.c} \
		arch/powerpc/mm/{mmu_context_iommu,realmode_page}.c \
		arch/powerpc/kernel/iommu_tce{.c,_fast.c,_view.c,_view.h} \
		arch/powerpc/kvm/book3s_64_vio{.c,.h,_builtin.c} \
		drivers/vfio/vfio_iommu_spapr_tce.c)
}

# Files that tools/testing/mm_iommu compiles.
on_host() {
	case $1 in
	*/mm_iommu_pin.c*) return 1 ;;
	*/mm/mm_iommu* | */iommu_tce_view*) ;;
	*) return 1 ;;
	esac
}

# The suites for a file: none runs the code of KVM.
suites() {
	case $1 in
	*/kvm/*) ;;
	*/vfio/*) echo kunit:vfio_spapr_tce ;;
	*) echo 'kunit:*' ;;
	esac
}

# The programs for a file, as lines of "machine programs".
programs() {
	case $1 in
	*/iommu_tce_fast.c* | */mm_iommu_hold.c* | */kvm/*)
		echo powernv9 kvm_tce,kvm_tce_vfio,kvm_tce_virtual
		echo powernv8 kvm_tce,kvm_tce_vfio,kvm_tce_realmode ;;
	*)
		echo pseries "$(echo spapr_{fuzz,register,map,window,v1,order} \
			spapr_{lifetime,uapi,fdinfo,memory,failnth,races} |
			tr ' ' ,)" ;;
	esac
}

# own_folder FOLDER: a folder with links to what is in that of the tree, and
# those on the way to it.
own_folder() {
	local dir=$WORK/tree/$1
	[ "$1" = . ] || own_folder "$(dirname "$1")"
	[ ! -d "$dir" ] || [ -L "$dir" ] || return 0
	rm -f "$dir"
	mkdir -p "$dir"
	find "$TREE/$1" -mindepth 1 -maxdepth 1 ! -name .git \
		-exec ln -s -t "$dir" {} +
}

# define FILE: append stdin to a file, where the number of the mutant comes
# from.
define() {
	own_folder "$(dirname "$1")"
	rm "$WORK/tree/$1"
	cat "$TREE/$1" - >"$WORK/tree/$1"
}

make_tree() {
	local f
	rm -rf "$WORK/tree"
	own_folder .
	# Its headers include others by their place beside it.
	own_folder tools/testing
	rm "$WORK/tree/tools/testing/mm_iommu"
	cp -a "$TREE/tools/testing/mm_iommu" "$WORK/tree/tools/testing/"
	sed -i 's/-Werror/-w/; s/ -O2 / -O1 /' \
		"$WORK/tree/tools/testing/mm_iommu/Makefile"
	for f in $(sources); do own_folder "$(dirname "$f")"; done
	define arch/powerpc/kernel/setup-common.c <<-'END'
	int mutant_on __ro_after_init;
	EXPORT_SYMBOL_GPL(mutant_on);
	static int __init set_mutant(char *text)
	{
		return kstrtoint(text, 0, &mutant_on);
	}
	early_param("mutant", set_mutant);
	END
	define arch/powerpc/kvm/realmode.list <<-'END'
	allow mutant_on of mutants.sh: static data
	END
	define tools/testing/mm_iommu/test.c <<-'END'
	int mutant_on;
	static void __attribute__((constructor)) set_mutant(void)
	{
		mutant_on = setting("MUTANT", 0);
	}
	END
	# shellcheck disable=SC2046
	"$HARNESS/mutants/mutate.py" "$TREE" "$WORK/tree" "$SEED" "$N" \
		"${FILES:-*}" $(sources) >"$WORK/list"
}

# The programs for a file, that about it first.
host_programs() {
	case $1 in
	*/iommu_tce_view*) echo test_view ;;
	*/mm_iommu_index*) echo test_index test_section test_trans fuzz_trans ;;
	*/mm_iommu.h* | *_hold*)
		echo test_section test_index test_trans fuzz_trans ;;
	'') echo test_trans test_section test_index fuzz_trans test_view ;;
	*) echo test_trans test_section test_index fuzz_trans ;;
	esac
}

# host NUMBER SOURCE: print what has caught it. What spins is ended by the time
# of the processor, what sleeps by the clock.
host() {
	local build program limit log=$WORK/log/$1.host
	local bad='^not ok|ERROR|WARNING|not true|runtime error'
	for build in $BUILDS; do
		for program in $(host_programs "$2"); do
			case $build/$program in
			*-tsan/fuzz_trans | *-tsan/test_section) continue ;;
			esac
			limit=10
			[ $program != test_trans ] || limit=30
			(ulimit -t $limit; SEED='' STOP=1 STEPS=$HOST_STEPS \
				MUTANT=$1 exec timeout 600 \
				"$WORK/host/$build/$program" \
				"$TREE/tools/testing/mm_iommu/corpus.txt") \
				>"$log" 2>&1 && continue
			echo "$build/$program: $({
				grep -aE "$bad" "$log" ||
				echo "no end"; } | head -n 1)"
			return
		done
	done
	rm -f "$log"
}

# uncaught SOURCE KIND WHAT: why no test can notice it.
uncaught() {
	local f=${1##*/}
	SOURCE=${f%%:*} FUNCTION=${1##*:} KIND=$2 WHAT=$3 awk -F'\t' '
		!/^#/ && $1 == ENVIRON["SOURCE"] && $2 == ENVIRON["FUNCTION"] &&
		$3 == ENVIRON["KIND"] && $4 == ENVIRON["WHAT"] {
			print $5
			exit
		}
	' "$HARNESS/mutants/uncaught"
}

# The first test that fails, of a run that may go on.
failed() {
	grep -haE -m 1 '(^|[] ])not ok [0-9]+ ' "$1"/{console,report}.log \
		2>/dev/null
}

# boot NUMBER MACHINE PROGRAMS SECONDS: print what has caught it.
boot() {
	local file=$WORK/log/$1.boot dir='' by=''
	printf 'append: slub_debug=FZPU mutant=%s\n' "$1" >"$file.data"
	OVERRIDE=$file.data TESTS=$3 RUN_TIMEOUT=$4 PROGRAM_TIMEOUT=60 \
		"$HARNESS/run.sh" "$2" mutants >"$file" 2>&1 &
	while kill -0 $! 2>/dev/null && [ -z "$by" ]; do
		sleep 0.3
		dir=$(head -n 1 "$file")
		by=$(failed "$dir") || true
		# The slowest test prints a line every few seconds.
		[ -z "$dir" ] || [ -n "$(find "$dir" \
			-name '*.log' -newermt '-60 seconds')" ] ||
			by="not ok hang"
	done
	[ -z "$by" ] || kill $! 2>/dev/null || true
	if ! wait $! && [ -z "$by" ]; then
		by=$({ failed "$dir"
		       awk -F'\t' '$1 == "FAIL" { print $2 ": " $3 }' \
				"$dir/results.tsv"
		       sed -n 2p "$dir/verdict"; } | head -n 1) || true
	fi
	by=${by//[$'\r\t']/ }
	[ -z "$by" ] || printf '%s: %s\n' "$2" "${by##*not ok }"
	[ -z "$dir" ] || rm -rf "$dir"
	rm -f "$file" "$file.data"
}

# object NUMBER SOURCE: what the compiler makes of a file with one mutant;
# nothing where no kernel was built.
object() {
	local c=${2%%:*} obj cmd said=$WORK/log/$1.o
	case $c in
	*/mm_iommu.h) c=arch/powerpc/mm/mm_iommu_hold.c ;;
	*/iommu_tce_view.h) c=arch/powerpc/kernel/iommu_tce.c ;;
	*/book3s_64_vio.h) c=arch/powerpc/kvm/book3s_64_vio_builtin.c ;;
	esac
	obj=${c%.c}.o
	cmd=$(dirname "$obj")/.$(basename "$obj").cmd
	(cd "$WORK/kernel" &&
		sh -c "$(sed -n '1s/^[^=]*:= //p' "$cmd" 2>/dev/null |
			sed "s,-o $obj ,-DMUTANT_IS=$1 -Wp\,-w -o $said ,
				s, -Wp\,-MMD\,[^ ]*,,")" \
			>/dev/null 2>&1 && [ -s "$WORK/log/$1.o" ] &&
		"${CROSS}objdump" -dr --no-show-raw-insn "$WORK/log/$1.o" |
		sed 1,3d | md5sum)
	rm -f "$WORK/log/$1.o"
}

same_code() {
	local with
	with=$(object "$1" "$2")
	[ -n "$with" ] && [ "$with" = "$(object 0 "$2")" ]
}

# try NUMBER SOURCE KIND WHAT: "result detail" by a tab.
try() {
	local by machine list why
	why=$(uncaught "${@:2}")
	[ -z "$why" ] || { printf 'equivalent\t%s\n' "$why"; return; }
	if on_host "$2"; then
		by=$(host "$1" "$2")
		[ -z "$by" ] || { printf 'host\t%s\n' "$by"; return; }
	fi
	list=$(suites "$2")
	if [ "$STAGE" != host ] && [ -n "$list" ]; then
		by=$(boot "$1" pseries "$list" 150)
		[ -z "$by" ] || { printf 'kunit\t%s\n' "$by"; return; }
	fi
	if same_code "$1" "$2"; then
		printf 'equivalent\tthe same code\n'
		return
	fi
	if [ "$STAGE" = programs ]; then
		while read -r machine list <&7; do
			by=$(boot "$1" "$machine" "$list" 600)
			if [ -n "$by" ]; then
				printf 'programs\t%s\n' "$by"
				return
			fi
		done 7< <(programs "$2")
	fi
	printf 'survived\t%s\n' "$STAGE"
}

one() {
	local line source kind what result
	line=$(awk -F'\t' -v n="$1" '$1 == n' "$WORK/list")
	IFS=$'\t' read -r _ source kind what <<<"$line"
	result=$(try "$1" "$source" "$kind" "$what")
	printf '%s\t%s\n' "$line" "$result" >>"$WORK/results"
	printf '%4d  %s: %s: %s: %s\n' "$1" "${source##*/}" "$kind" \
		"$what" "${result/$'\t'/: }"
}

# A test that fails without a mutant says nothing.
sound() {
	local by
	by=$(host 0 '')
	[ -z "$by" ] || die "without a mutant: $by"
	[ "$STAGE" != host ] || return 0
	by=$(boot 0 pseries 'kunit:*' 120)
	[ -z "$by" ] || die "without a mutant: $by"
}

build() {
	step "mutants: build the tests of the host" "$LOGS/mutants-host.log" \
		env CCACHE_BASEDIR="$OUT" CCACHE_NOHASHDIR=1 \
		make -C "$WORK/tree/tools/testing/mm_iommu" -j"$JOBS" \
		O="$WORK/host" \
		CC="$(have ccache && echo ccache) gcc" BUILDS="$BUILDS" all
	[ "$STAGE" != host ] || return 0
	rm -f "$WORK/kernel/built"
	"$HARNESS/kernel.sh" mutants >/dev/null
	"$HARNESS/debian-packages.sh" busybox busybox-static >/dev/null
	"$HARNESS/selftests.sh" >/dev/null
	"$HARNESS/initramfs.sh" series >/dev/null
}

summary() {
	echo
	echo "SEED=$SEED N=$N STAGE=$STAGE"
	awk -F'\t' '
	{ f = $2; sub(/:.*/, "", f); sub(/.*\//, "", f)
	  n[f]++; n["all"]++; r[f, $5]++; r["all", $5]++ }
	END {
		printf "%-28s %6s %6s %6s %9s %9s %11s\n", "file", "drawn",
			"host", "kunit", "programs", "survived", "equivalent"
		for (f in n)
			printf "%-28s %6d %6d %6d %9d %9d %11d\n", f, n[f],
				r[f, "host"], r[f, "kunit"], r[f, "programs"],
				r[f, "survived"], r[f, "equivalent"] | "sort"
	}' "$WORK/results"
}

# As any test of the harness: what a run of it prints for make test.
tests() {
	awk 'BEGIN { FS = OFS = "\t" }
	{ name = $2 ": " $3 ": " $4 }
	$5 == "survived" { print "FAIL", "mutants", name, ""; next }
	$5 == "equivalent" { print "SKIP", "mutants", name, $6; next }
	{ print "PASS", "mutants", name, "" }' "$WORK/results"
}

case ${1:-} in
-one) one "$2"; exit ;;
-try) boot "$2" "$3" "$4" 600; exit ;;
esac
if [ "${1:-}" = check ] && ! have python3; then
	printf 'SKIP\tmutants\tall\tneeds python3\n'
	exit
fi
mkdir -p "$WORK/log" "$WORK/kernel"
[ "$STAGE" = host ] || ln -sfn mutants/kernel "$OUT/kernel-mutants"
make_tree
build
sound
: >"$WORK/results"
cut -f1 "$WORK/list" | xargs -P "$JOBS" -n 1 "$0" -one
if [ "${1:-}" = check ]; then tests; else summary; fi
