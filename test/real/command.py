#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The remora command with a released model: questions that have one answer, JSON by a schema, a choice, a hole in code.

    command.py REMORA MODEL.gguf
"""
import json
import re
import subprocess
import sys
import tempfile

import jsonschema

REMORA, MODEL = sys.argv[1:]
IS_CODER = "coder" in MODEL
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
                   "city": {"enum": ["Paris", "Rome", "Berlin"]}},
    "required": ["name", "age", "city"], "additionalProperties": False}
FACTORIAL = '''def factorial(n):
    """Return n!."""
    if n == 0:
        return 1
    return <FILL>


def test():
    assert factorial(5) == 120
'''
failed = []


def run(*args, stdin=""):
    done = subprocess.run([REMORA, *args, "-m", MODEL, "--temp", "0"], input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{args}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def check(good, what, have):
    have = have.strip().replace("\n", "\\n")
    print(f"| {what} | {have} |{'' if good else ' FAILED'}")
    if not good:
        failed.append(what)


def questions():
    """Two turns, of which the second one makes no sense without the first; then a sum. Told its own system
    text SmolLM2 answers the first one in French."""
    system = [] if IS_CODER else ["--system", "You are a helpful assistant."]
    said = run("chat", "-n", "40", *system, stdin="What is the capital of France?\nAnd of Italy?\n")
    check(re.search("Paris(.|\n)*Rome", said), "two questions", said)
    if IS_CODER:
        said = run("chat", "-n", "20", "--system", "Answer with the number alone.", stdin="What is 12 plus 30?\n")
        check(said == "42\n", "sum", said)


def constrained():
    ask = "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n"
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(SCHEMA, f)
        f.flush()
        prompt = ask % "Give me JSON about Anna, who is 31 years old and lives in Rome."
        said = run("generate", "-q", "--special", "-n", "80", "--json-schema", f.name, "-p", prompt)
    value = json.loads(said)
    jsonschema.validate(value, SCHEMA)
    check(not IS_CODER or value == {"name": "Anna", "age": 31, "city": "Rome"}, "JSON by a schema", said)
    said = run("generate", "-q", "--special", "--choice", "Oslo,Madrid,Lima", "-p", ask % "What is the capital of Spain?")
    check(said == "Madrid\n" if IS_CODER else said in ("Oslo\n", "Madrid\n", "Lima\n"), "choice", said)


def hole():
    """What is filled in makes the function right."""
    said = run("fim", "-q", "-n", "12", "-f", "-", stdin=FACTORIAL)
    line, names = said.split("\n")[0], {}
    good = re.fullmatch("[n0-9a-z() *+-]+", line)
    if good:
        exec(FACTORIAL.replace("<FILL>", line), names)
    check(good and names["factorial"](5) == 120, "hole", said)


if __name__ == "__main__":
    print("| command | |\n|---|---|")
    questions()
    constrained()
    if IS_CODER:
        hole()
    sys.exit(bool(failed))
