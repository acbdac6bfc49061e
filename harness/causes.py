#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Keep the table of causes in docs/refused.md as spapr_doctor.c has them.

	causes.py ROOT [-check]

writes it between its marks; -check: is it what would be written?
"""
import re
import sys
from pathlib import Path

DOCTOR = "tools/testing/selftests/vfio/spapr/spapr_doctor.c"
PAGE = "docs/refused.md"
BEGIN = "<!-- causes: written by harness/causes.py -->\n"
END = "<!-- end of causes -->\n"
STRING = re.compile(r'"((?:\\.|[^"\\])*)"')


def strings(entry):
	"""The three texts of an entry; adjacent string literals are one."""
	texts = re.split(r'"\s*,\s*"', entry)
	for i, text in enumerate(texts):
		text = text if i == 0 else '"' + text
		text = text if i == len(texts) - 1 else text + '"'
		text = "".join(STRING.findall(text)).replace("\\n", " ")
		yield text.replace("|", "\\|")


def table(source):
	array = source.partition("} causes[] = {")[2].partition("\n};")[0]
	yield "| cause | what it means | what to do |\n"
	yield "| --- | --- | --- |\n"
	for entry in re.findall(r"^\t\{(.*?)\},$", array, re.S | re.M):
		yield "| " + " | ".join(strings(entry)) + " |\n"


def main():
	root = Path(sys.argv[1])
	page = (root / PAGE).read_text()
	before, _, rest = page.partition(BEGIN)
	after = rest.partition(END)[2]
	new = (before + BEGIN + "".join(table((root / DOCTOR).read_text())) +
	       END + after)
	if sys.argv[2:] == ["-check"]:
		if new != page:
			print(f"{PAGE}: other causes than {DOCTOR}: "
			      "run harness/causes.py .")
		return new != page
	(root / PAGE).write_text(new)
	return 0


if __name__ == "__main__":
	sys.exit(main())
