# SPDX-License-Identifier: Apache-2.0
"""The man page has every command and every option of the command, as `--help` has them, and no other: man_page.py REMORA PAGE."""
import re
import subprocess
import sys

remora, page = sys.argv[1:]
COMMON = "OPTIONS OF SEVERAL COMMANDS"


def said_by(*arguments):
    return subprocess.run([remora, *arguments, "--help"], capture_output=True, text=True, check=True).stdout


def helped(text):
    """(letter, name, argument) of each option in a help text."""
    row = re.compile(r"^  (?:-(\w), |    )--([\w-]+)(?: (\S+))?(?:  |$| [a-z(])", re.M)
    return {(letter or "", name, argument or "") for letter, name, argument in row.findall(text)}


def documented(text):
    row = re.compile(r"^\.TP\n(?:\\fB-(\w)\\fR, )?\\fB--([\w-]+)\\fR(?: \\fI(\S+)\\fR)?$", re.M)
    return {(letter or "", name, argument or "") for letter, name, argument in row.findall(text)}


text = open(page, encoding="utf-8").read().replace("\\-", "-")
parts = {title: body for title, body in re.findall(r"^\.S[HS] ([^\n]*)\n(.*?)(?=^\.S[HS] |\Z)", text, re.M | re.S)}
commands = re.findall(r"^  (\w+) +\S", said_by().split("commands:")[1].split("\n\n")[0], re.M)
common, everywhere, problems = documented(parts[COMMON]), set(), []
for command in commands:
    has, own = helped(said_by(command)), documented(parts.get(command, ""))
    everywhere |= has
    assert len(has) == len(re.findall(r"^  (?:-\w, |    )--", said_by(command), re.M)), f"the help of {command} is not understood"
    missing = {o for o in has - own if o not in common}
    problems += [f"{command}: the page has no --{name}, or with another letter or argument" for _, name, _ in sorted(missing)]
    problems += [f"{command}: there is no --{name}, or with another letter or argument" for _, name, _ in sorted(own - has)]
problems += [f"no command has --{name}" for _, name, _ in sorted(common - everywhere)]
problems += [f"the page has no command {c}" for c in commands if c not in parts]
problems += [f"there is no command {t}" for t in re.findall(r"^\.SS (\w+)$", text, re.M) if t not in commands]
print("\n".join(problems))
sys.exit(bool(problems) or len(commands) < 5)
