#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Check the figures in messages of patches against the committed ones.

	messages.py PATCHES ROWS CSV...

ROWS is messages.rows, PATCHES the folder of the patches, each CSV the figures of a
machine. A figure is right if the committed one, rounded to as many digits, is the same.
"""
import csv
import re
import sys
from pathlib import Path

SCALE = {"": 1, "k": 1000, "M": 1000000}


def committed(paths):
	for path in paths:
		with open(path, newline="") as f:
			yield from csv.reader(l for l in f if l[0] != "#")


def is_same(text, value):
	number, _, unit = text.partition(" ")
	digits = number.replace(",", "")
	step = SCALE[unit]
	if "." in digits:
		step *= 10 ** -len(digits.partition(".")[2])
	elif not unit:	# 714,100: the zeros at the end are not known
		step = 10 ** (len(digits) - len(digits.rstrip("0")))
	return abs(float(digits) * SCALE[unit] - value) <= step / 2


def main():
	patches, rows, *paths = sys.argv[1:]
	figures = list(committed(paths))
	bad = 0
	for line in Path(rows).read_text().splitlines():
		if line.startswith("#"):
			continue
		patch, text, kernel, machine, op, param, unit = line.split("\t")
		found = [float(f[6 if kernel == "stock" else 7]) for f in figures
			 if f[0] == machine and f[1] == op and f[3] == unit
			 and re.fullmatch(param, f[2])]
		message = ""
		for path in Path(patches).glob(patch + "*"):
			text_of = path.read_text().partition("\n---\n")[0]
			message = " ".join(text_of.split())
		if not re.search(rf"(?<![\d,.]){re.escape(text)}(?!\d|[.,]\d)",
				 message):
			print(f"{patch}: its message has no {text}")
		elif len(found) != 1:
			print(f"{patch}: {text}: {len(found)} committed figures")
		elif not is_same(text, found[0]):
			print(f"{patch}: {text}: the committed figure is {found[0]:.0f}")
		else:
			continue
		bad = 1
	return bad


if __name__ == "__main__":
	sys.exit(main())
