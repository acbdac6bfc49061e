#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Check the form of what the project writes: widths, comments, words, names.

	style.py ROOT

prints a line for each finding and fails if there is one:

width	a line of code over 80 columns. Only a string that fits nowhere else may
	be longer. Of a patch the lines that it adds count. No line of a shell
	script is longer.
open	a comment that begins with what or who: its subject is the thing itself
word	a word that kernel English has a better one for, in comments, documents
	and messages and names of patches
prefix	a function or a variable of KVM's files without kvmppc_ or kvm_
name	put, begin, served, hcall or ready alone as the name of anything
"""
import re
import subprocess
import sys

WIDTH = 80
# The base has lines of up to 100 columns there, and these patches change some.
WIDE = ("mm/gup.c",)
# Cannot be broken in a way that checkpatch --strict accepts.
WIDE_LINES = (
	"lockdep_is_held(&container->group_lock));",
	"smp_store_release(&pci->table_group->tables[default_win_removed ? 0 : 1],",
)
# bases: patches of Linux itself; the others look as a run left them.
NOT_OURS = ("COPYING", "bases/", "findings/", "harness/golden/", "harness/realmode/")
CODE = re.compile(r"\.(c|h|S|pml)$")
SCRIPT = re.compile(r"(\.(sh|py|awk)|Makefile|harness/make)$")
TEXT = re.compile(r"\.(md|rst|txt)$|^bases/README$")

TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
		   r'|(/\*.*?\*/|//[^\n]*)', re.S)
OPEN = re.compile(r"(what|who|whoever|whatever|whose)\b", re.I)
WORDS = re.compile(r"\b(at once|tells?|told|telling|g[ai]ves? back|given back"
		   r"|giving back|somebody|meanwhile|anew|thus|for ever"
		   r"|its own affair|whoever)\b", re.I)
# Words that are right in a sentence, but not as the short name of a change.
NAME_WORDS = re.compile(WORDS.pattern + r"|\b(let go|nobody|others)\b", re.I)
NAMES = re.compile(r"(?<![\w.>/-])(put|begin|served|hcall|ready)\b(?=\s*[(\[;,=)]"
		   r"|->|\.\w)")
FIELDS = re.compile(r"(?:->|\w\.)(put|begin|served|hcall|ready)\b")
# The field of a trace event is part of its format.
NAMES_KEPT = ("arch/powerpc/kvm/trace_vio.h",)
KVM = re.compile(r"^arch/powerpc/kvm/book3s_64_vio[^/]*\.[ch]$")
DEFINED = re.compile(r"^(?!typedef|return|else|goto|struct \w+(?: \{|;)|enum|#)"
		     r"[a-z][\w\s*]*?\b\**(\w+)(?:\(|\[| =|;)", re.M)
PREFIX = re.compile(r"(__)?(kvmppc|kvm)_|(__printf|EXPORT_SYMBOL)")

found = 0


def say(kind, path, line, text):
	global found
	found += 1
	print(f"{path}:{line}: {kind}: {text.strip()[:100]}")


def width(line):
	return len(line.expandtabs(8))


def too_wide(line):
	if width(line) <= WIDTH:
		return False
	short = re.sub(r'"(?:\\.|[^"\\])*"', '""', line)
	return short == line or width(short) > WIDTH


def line_of(text, at):
	return text.count("\n", 0, at) + 1


def plain(comment):
	"""A comment without its marks, on one line."""
	comment = re.sub(r"^(/\*+|//+)|\*+/$", "", comment)
	comment = re.sub(r"^\s*\*+", "", comment, flags=re.M)
	return " ".join(comment.split())


def check_words(path, line, text):
	for m in WORDS.finditer(text):
		say("word", path, line, text[max(0, m.start() - 40):m.end() + 40])


def check_comment(path, line, comment):
	if OPEN.match(comment):
		say("open", path, line, comment)
	check_words(path, line, comment)


def check_code(path, text):
	for n, line in enumerate(text.split("\n"), 1):
		if too_wide(line):
			say("width", path, n, line)
	for m in TOKEN.finditer(text):
		if m.group(1):
			check_comment(path, line_of(text, m.start()), plain(m.group(1)))
	# Only code is left: what is removed keeps its lines.
	bare = TOKEN.sub(lambda m: "\n" * m.group(0).count("\n"), text)
	if path.endswith(".pml") or path in NAMES_KEPT:
		return
	for pattern in NAMES, FIELDS:
		for m in pattern.finditer(bare):
			say("name", path, line_of(bare, m.start()), m.group(1))
	if KVM.match(path):
		for m in DEFINED.finditer(bare):
			if not PREFIX.match(m.group(1)):
				say("prefix", path, line_of(bare, m.start()), m.group(1))


def check_script(path, text):
	block, start = [], 0
	for n, line in enumerate(text.split("\n") + [""], 1):
		if path.endswith(".sh") and width(line) > WIDTH:
			say("width", path, n, line)
		m = re.match(r"\s*#+ (.*)", line)
		if m:
			if not block:
				start = n
			block.append(m.group(1))
		elif block:
			check_comment(path, start, " ".join(block))
			block = []


def check_text(path, text):
	for n, line in enumerate(text.split("\n"), 1):
		# Lines with tabs are what the kernel prints.
		if path.endswith(".rst") and len(line) > WIDTH and "\t" not in line:
			say("width", path, n, line)
		check_words(path, n, line)


def check_hunk(path, name, lines, where):
	"""The comments of a hunk that it adds, at least their first lines."""
	if not CODE.search(name):
		return
	text = "\n".join(lines)
	for m in TOKEN.finditer(text):
		n = where[line_of(text, m.start()) - 1]
		if m.group(1) and n:
			check_comment(path, n, plain(m.group(1)))


def check_patch(path, text):
	message, _, diff = text.partition("\n---\n")
	check_text(path, re.sub(r"^Overlay-.*", "", message, flags=re.M))
	note = diff.partition("diff --git ")[0]
	for n, line in enumerate(note.split("\n"), message.count("\n") + 3):
		check_words(path, n, line)
	name = path.rpartition("/")[2]
	if NAME_WORDS.search(re.sub(r"[-_.]", " ", name)):
		say("word", path, 0, name)
	first = message.count("\n") + 2
	# Code that only moves, or changes its indentation, keeps its lines.
	moved = {line[1:].strip() for line in diff.split("\n")
		 if line.startswith("-")}
	name, hunk, where = "", [], []
	for n, line in enumerate(diff.split("\n") + ["@@"], first + 1):
		if line.startswith("@@") or line.startswith("diff "):
			check_hunk(path, name, hunk, where)
			hunk, where = [], []
		elif line.startswith("+++ b/"):
			name = line[6:]
		elif line.startswith("+"):
			hunk.append(line[1:])
			where.append(n)
			if CODE.search(name) and name not in WIDE \
					and too_wide(line[1:]) \
					and line[1:].strip() not in moved \
					and line[1:].strip() not in WIDE_LINES:
				say("width", path, n, line[1:])
		elif line.startswith(" "):
			hunk.append(line[1:])
			where.append(0)


def main():
	root = sys.argv[1]
	files = subprocess.run(["git", "-c", "safe.directory=*", "-C", root,
				"ls-files", "-co", "--exclude-standard"],
			       check=True, capture_output=True, text=True)
	for path in sorted(files.stdout.split()):
		if path.startswith(NOT_OURS) or path == "harness/style.py":
			continue
		if path.endswith(".patch"):
			check = check_patch
		elif CODE.search(path):
			check = check_code
		elif SCRIPT.search(path):
			check = check_script
		elif TEXT.search(path):
			check = check_text
		else:
			continue
		try:
			with open(f"{root}/{path}") as f:
				check(path, f.read())
		except FileNotFoundError:
			pass	# removed, but not in git yet
	return found != 0


if __name__ == "__main__":
	sys.exit(main())
