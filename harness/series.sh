#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Write the series as `git am --empty=drop` takes it into $OUT/series, and check
# it: on a pristine base it must give the very tree that was built. With PART=
# it ends with that part, and has no cover letter. Text below the --- of a patch
# stands there again.
. "$(dirname "$0")/lib.sh"

DIR=$OUT/series${PART:+-$PART}
END=series
[ -z "$PART" ] || END=refs/parts/$PART
TRIP=$OUT/roundtrip
COVER=$ROOT/patches/0000-cover-letter.txt

# The cover letter's first line is the subject, the rest after a blank line its
# text; git format-patch leaves marks for both.
fill_cover() {
	local file=$1
	if [ ! -f "$COVER" ]; then
		say "warning: there is no patches/0000-cover-letter.txt"
		return
	fi
	awk -v cover="$COVER" '
	/\*\*\* SUBJECT HERE \*\*\*/ {
		getline subject <cover
		sub(/^Subject: */, "", subject)
		sub(/\*\*\* SUBJECT HERE \*\*\*/, "")
		print $0 subject
		next
	}
	/\*\*\* BLURB HERE \*\*\*/ {
		getline line <cover
		if (line != "") print line
		while ((getline line <cover) > 0) print line
		next
	}
	{ print }' "$file" >"$file.new"
	mv "$file.new" "$file"
}

write_series() {
	local cover_letter=--cover-letter
	[ -z "$PART" ] || cover_letter=--no-cover-letter
	rm -rf "$DIR.new"
	# The cover letter is from the author of the last patch.
	GIT_COMMITTER_NAME=$(gitb log -1 --format=%an series) \
	GIT_COMMITTER_EMAIL=$(gitb log -1 --format=%ae series) \
	GIT_COMMITTER_DATE=$(gitb log -1 --format=%aI series) \
	gitb -c core.abbrev=12 format-patch -o "$DIR.new" --no-signature \
		--notes $cover_letter --no-renames ${SIGNOFF:+--signoff} \
		base.."$END"
	[ -n "$PART" ] || fill_cover "$DIR.new/0000-cover-letter.patch"
	rm -rf "$DIR"
	mv "$DIR.new" "$DIR"
}

# git am needs a work tree, but only the files that the series touches.
round_trip() {
	rm -rf "$TRIP"
	gitb worktree prune
	gitb worktree add -q --no-checkout --detach "$TRIP" base
	gitb diff --name-only --no-renames --diff-filter=MD base "$END" \
		>"$OUT/roundtrip.files"
	git -C "$TRIP" read-tree base
	git -C "$TRIP" ls-files | grep -vxFf "$OUT/roundtrip.files" |
		git -C "$TRIP" update-index --skip-worktree --stdin
	git -C "$TRIP" checkout-index --stdin <"$OUT/roundtrip.files"
	# --empty=drop: the cover letter is a mail without a patch.
	git -C "$TRIP" -c user.name=harness -c user.email=harness@localhost \
		am --empty=drop "$DIR"/*.patch
	[ "$(git -C "$TRIP" rev-parse 'HEAD^{tree}')" = \
	  "$(gitb rev-parse "$END^{tree}")" ] || {
		echo "error: git am gives another tree than the one built"
		return 1
	}
}

clean_trip() {
	rm -rf "$TRIP" "$OUT"/roundtrip.*
	gitb worktree prune
}

take_lock
[ "$(gitb rev-parse base)" != "$(gitb rev-parse series)" ] ||
	die "there is no patch in patches/"
KEY=$({ gitb rev-parse base "$END"; gitb notes list
	cat "$COVER" 2>/dev/null; echo "$SIGNOFF"
	cat "$0"; } | hash_of)
if ! is_done "$DIR.stamp" "$KEY"; then
	rm -f "$DIR.stamp"
	step "write the series" "$LOGS/series.log" write_series
	step "git am gives the tree that was built" "$LOGS/roundtrip.log" \
		round_trip
	clean_trip
	set_done "$DIR.stamp" "$KEY"
fi
say "on a pristine base: git am --empty=drop $DIR/*.patch"
echo "$DIR"
