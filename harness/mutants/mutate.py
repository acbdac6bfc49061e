#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""mutate.py FROM TO SEED COUNT GLOBS FILE...: put mutants into C files.

Draws COUNT of all mutants that the files of the tree FROM whose names fit one of GLOBS
can have, writes all files below TO, with the mutants in them, and a line for each mutant
to stdout, by tabs: number, file:line:function, kind, what is changed. The kinds are drawn
in turn, so that rare ones are among them.

Each mutant is behind MUTANT(number), so one build has all of them, and each costs a
boot and no build. Which one is on, if any, says the variable mutant_on; or MUTANT_IS,
when a file is compiled for one mutant alone. Text is only inserted or wrapped, line by
line, so mutants of the same line do not disturb each other.
"""
import fnmatch
import os
import random
import re
import sys
from itertools import zip_longest

HEAD = """#ifndef MUTANT
#ifdef MUTANT_IS
#define MUTANT(n) ((n) == MUTANT_IS)
#else
extern int mutant_on;
#define MUTANT(n) (mutant_on == (n))
#endif
#define MUTANT_STORE(n, p, v) \\
	do { if (MUTANT(n)) WRITE_ONCE(*(p), v); else smp_store_release(p, v); } while (0)
#define MUTANT_LOAD(n, p) (MUTANT(n) ? READ_ONCE(*(p)) : smp_load_acquire(p))
#endif
#line 1
"""
for warning in ("parentheses implicit-fallthrough maybe-uninitialized uninitialized "
                "bool-operation int-in-bool-context return-type bool-compare "
                "misleading-indentation type-limits unused-function").split():
    HEAD = HEAD.replace("#line 1", '#pragma GCC diagnostic ignored "-W%s"\n#line 1' % warning)

# A statement that says something, or checks something, is no mutant.
SILENT = re.compile(r"(BUILD_BUG_ON|static_assert|lockdep_|might_|WARN|BUG|pr_|dev_|trace_|"
                    r"cond_resched|seq_|KUNIT_|LIST_HEAD|DEFINE_|cpu_relax|spin_until|__acquire|__release)")
UNDO = re.compile(r"free|put|drop|release|unpin|destroy|give_|withdraw|remove|del|uncharge|"
                  r"undo|restore|rollback|revert|close|leave|unlink|erase|reap|detach|end\b|exit")
LOCK = re.compile(r"(un)?lock|_(enter|exit)$|^(tce_view|mm_iommu|kvmppc_tce)_(enter|exit)|srcu_")
BARRIER = re.compile(r"^(smp_(mb|wmb|rmb)\w*|synchronize_\w+|\w*_sync)$")
COUNT = re.compile(r"^(atomic|refcount)_\w+$")


def blank(text):
    """The text with comments, strings and preprocessor lines made blank."""
    def spaces(m):
        return re.sub(r"[^\n]", " ", m.group())
    text = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', spaces, text,
                  flags=re.S)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", spaces, text, flags=re.M)


def closing(code, at):
    """Where the bracket that opens at @at is closed."""
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] in "([{") - (code[i] in ")]}")
        if not depth:
            return i
    return len(code)


def parts(code, first, last, operator):
    """The operands of && or || in an expression, in the outermost brackets."""
    found, start, i = [], first, first
    while i < last:
        if code[i] in "([{":
            i = closing(code, i)
        elif code[i] in "?,=" and code[i - 1:i + 1] not in ("==", "!=", "<=", ">=") and \
                code[i:i + 2] != "==":
            return []
        elif code.startswith(operator, i):
            found.append((start, i))
            i += 1
            start = i + 1
        i += 1
    return found + [(start, last)] if found else []


class File:
    def __init__(self, tree, name):
        self.name = name
        with open(os.path.join(tree, name)) as f:
            self.text = f.read()
        self.code = blank(self.text)
        self.function = ""
        self.found = []

    def line(self, at):
        return self.text.count("\n", 0, at) + 1

    def add(self, kind, at, what, *edits):
        """An edit is (first, last, before, after): what is put around a part of the text;
        # in it stands for the number."""
        what = " ".join(what.split())
        self.found.append((self, kind, at, what, edits, self.function))

    def functions(self):
        """The name and the body of each."""
        for m in re.finditer(r"^(?:\w[^\n;={}(]*[ *])?(\w+)\([^;{}]*\)\s*^\{", self.code, flags=re.M):
            first = m.end() - 1
            yield m.group(1), first, closing(self.code, first)

    def conditions(self, first, last):
        for m in re.finditer(r"\b(if|while) \(", self.code[first:last]):
            begin = first + m.end()
            end = closing(self.code, begin - 1)
            cond = self.code[begin:end]
            if SILENT.search(cond) or "IS_ENABLED" in cond or cond.strip() in "01":
                continue
            text = self.text[begin:end]
            if m.group(1) == "if":
                self.add("condition negated", begin, text, (begin, end, "MUTANT(#) != !!(", ")"))
                then = self.code[end + 1:end + 60].split()
                if then and re.match(r"(return|goto|break|continue)\b", then[0]):
                    kind = "error ignored" if re.match(r"!?(ret|err|rc|\w+)$", cond) \
                        else "early return dropped"
                    self.add(kind, begin, "%s: %s" % (text, then[0]),
                             (begin, end, "!MUTANT(#) && (", ")"))
            for operator, before in (("&&", "(MUTANT(#) || ("), ("||", "(!MUTANT(#) && (")):
                for a, b in parts(self.code, begin, end, operator):
                    if operator == "&&" and parts(self.code, begin, end, "||"):
                        break
                    self.add("part of a condition dropped", a, self.text[a:b],
                             (a, b, before, "))"))

    def bounds(self, first, last):
        for m in re.finditer(r" (<|<=|>|>=) (?=\S)", self.code[first:last]):
            at, op = first + m.start(), m.group(1)
            row = self.text[self.text.rfind("\n", 0, at) + 1:self.text.find("\n", at)]
            if SILENT.search(row) or row.strip().endswith("< 0)") or "< 0 " in row:
                continue
            if op in ("<", ">="):
                point, text = first + m.end(), "MUTANT(#) + "
            else:
                point, text = at, " + MUTANT(#)"
            self.add("bound off by one", at, row, (point, point, text, ""))
        for m in re.finditer(r" ([-+]) 1(?=[;,)\]]| [-<>=&|])(?! <<)", self.code[first:last]):
            at = first + m.end()
            row = self.text[self.text.rfind("\n", 0, at) + 1:self.text.find("\n", at)]
            if SILENT.search(row):
                continue
            self.add("%s 1 dropped" % m.group(1), at, row,
                     (at, at, " %s MUTANT(#)" % ("-" if m.group(1) == "+" else "+"), ""))

    def statements(self, first, last):
        """Calls and counts that are statements."""
        locks, before, label = {}, None, False
        for m in re.finditer(r"^(\t+)([^\s][^\n]*)$", self.code[first:last], flags=re.M):
            if re.match(r"^\t*\w+:$", self.code[first + m.start():first + m.end()]):
                label = True
            start = first + m.start(2)
            if not re.search(r"([;{}):]|\belse|\bdo)\s*$", self.code[:start]):
                continue    # goes on from the line before
            call = re.match(r"(\w+)\(", m.group(2))
            if call:
                end = closing(self.code, start + call.end() - 1) + 1
                call = self.code[end:end + 1] == ";" and \
                    not SILENT.match(call.group(1)) and call.group(1)
                end += 1
            count = re.match(r"[\w>.\[\]()*-]+(\+\+|--| [-+|]= [^;]+| &= [^;]+);$",
                             m.group(2).rstrip())
            if count and not re.match(r"(for|if|while|return)\b", m.group(2)):
                end = start + len(m.group(2).rstrip())
                self.guard("count dropped", start, end)
            if call:
                self.call(call, start, end, label, locks)
            if call and before and before[2] == m.group(1) and \
                    not re.search(r"\S", self.code[before[1]:start]):
                a, b = before[:2]
                again = self.text[start:end].replace("\n", " ")
                if not LOCK.search(self.text[a:b].split("(")[0]) and not LOCK.search(call):
                    self.add("order of two calls", a,
                             self.text[a:b] + " " + self.text[start:end],
                             (a, end, "{ if (MUTANT(#)) { %s } " % again, " }"),
                             (start, end, "{ if (!MUTANT(#)) ", " }"))
            before = (start, end, m.group(1)) if call else None
        for pair in locks.values():
            if len(pair) > 1:
                self.add("locks removed", pair[0][0], self.text[pair[0][0]:pair[0][1]],
                         *[(a, b, "{ if (!MUTANT(#)) ", " }") for a, b in pair])

    def guard(self, kind, start, end):
        self.add(kind, start, self.text[start:end], (start, end, "{ if (!MUTANT(#)) ", " }"))

    def call(self, name, start, end, label, locks):
        if name == "smp_store_release":
            self.add("barrier removed", start, self.text[start:end],
                     (start, start + len(name) + 1, "MUTANT_STORE(#, /*", "*/ "))
        elif BARRIER.match(name):
            self.guard("barrier removed", start, end)
        elif LOCK.search(name):
            key = re.sub(r"_(un)?lock\w*|_enter|_exit", "", name) + \
                self.text[start + len(name):end].split(",")[0].rstrip(");")
            locks.setdefault(key, []).append((start, end))
        elif COUNT.match(name):
            self.guard("count dropped", start, end)
        elif label or UNDO.search(name):
            self.guard("undo dropped", start, end)
        else:
            self.guard("call dropped", start, end)

    def loads(self, first, last):
        for m in re.finditer(r"\bsmp_load_acquire\(", self.code[first:last]):
            a = first + m.start()
            b = first + m.end()
            self.add("barrier removed", a, self.text[a:closing(self.code, b - 1) + 1],
                     (a, b, "MUTANT_LOAD(#, /*", "*/ "))

    def mutants(self):
        for self.function, first, last in self.functions():
            self.conditions(first, last)
            self.bounds(first, last)
            self.statements(first, last)
            self.loads(first, last)
        return self.found

    def write(self, tree, edits):
        """Where several begin or end at the same place, the shorter is inside."""
        points = []
        for order, (first, last, before, after) in enumerate(edits):
            points.append((first, 1, -(last - first), order, before))
            points.append((last, 0 if last > first else 2, last - first, -order, after))
        text, at = [], 0
        for point in sorted(points):
            text += [self.text[at:point[0]], point[4]]
            at = point[0]
        path = os.path.join(tree, self.name)
        if os.path.lexists(path):
            os.unlink(path)
        with open(path, "w") as f:
            f.write(HEAD + "".join(text) + self.text[at:])


def draw(mutants, rng, count):
    kinds = {}
    for m in rng.sample(mutants, len(mutants)):
        kinds.setdefault(m[1], []).append(m)
    turns = [m for turn in zip_longest(*kinds.values()) for m in turn if m]
    return turns[:count]


def main():
    source, target, seed, count, globs = sys.argv[1:6]
    files = [File(source, name) for name in sys.argv[6:]]
    mutants = [m for f in files for m in f.mutants()
               if any(fnmatch.fnmatch(f.name, "*" + g) for g in globs.split())]
    chosen = draw(mutants, random.Random(int(seed)), int(count))
    edits = {f: [] for f in files}
    for number, (f, kind, at, what, changes, function) in enumerate(chosen, 1):
        edits[f] += [(a, b, before.replace("#", str(number)), after)
                     for a, b, before, after in changes]
        print(number, "%s:%d:%s" % (f.name, f.line(at), function), kind, what, sep="\t")
    for f in files:
        f.write(target, edits[f])
    print("%d of %d mutants" % (len(chosen), len(mutants)), file=sys.stderr)


if __name__ == "__main__":
    main()
