# SPDX-License-Identifier: Apache-2.0
"""The C in the documents is C: every block that begins with ```c in a page of the repository compiles against the header,
as C99 without a warning, and links with the shared library where it was built. A whole program is taken as it stands; what
is marked ```c fragment are statements, which find the names of PRELUDE. The first program of the README also runs, and
says what it should.

    snippets.py ROOT LIBRARY MODEL CC...
"""
import pathlib
import re
import subprocess
import sys
import tempfile

PRELUDE = """#include <remora/remora.h>
#include <stdio.h>
remora_status fragment(remora_model *model, remora_session *session, remora_session *const *sessions, size_t n_sessions,
                       remora_sampler *sampler, remora_token *tokens, size_t n_tokens, remora_error *err);
remora_status fragment(remora_model *model, remora_session *session, remora_session *const *sessions, size_t n_sessions,
                       remora_sampler *sampler, remora_token *tokens, size_t n_tokens, remora_error *err)
{
    remora_status st = REMORA_OK;
    size_t n = 0, reused = 0;
    (void)model, (void)session, (void)sessions, (void)n_sessions, (void)sampler, (void)tokens, (void)n_tokens, (void)err;
    (void)n, (void)reused;
"""
END = """
    return st;
}
int main(int argc, char **argv)
{
    (void)argv;
    return argc > 9 ? (int)fragment(0, 0, 0, 0, 0, 0, 0, 0) : 0;
}
"""
root, library, model, *cc = sys.argv[1:]
ROOT = pathlib.Path(root)


def snippets():
    pages = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        for mark, code in re.findall(r"^```c\b *(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M):
            yield page, PRELUDE + code + END if mark == "fragment" else code


def build(folder, code, number):
    source, program = folder / f"snippet{number}.c", folder / f"snippet{number}"
    source.write_text(code, encoding="utf-8")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", root + "/include"]
    where = str(pathlib.Path(library).resolve().parent)
    done = subprocess.run([*cc, *flags, source, library, "-Wl,-rpath," + where, "-o", program], capture_output=True, text=True)
    return program, done


bad = n = 0
with tempfile.TemporaryDirectory() as name:
    for page, code in snippets():
        program, done = build(pathlib.Path(name), code, n)
        if done.returncode != 0:
            print(f"{page}: snippet {n} of all:\n{done.stderr}")
        bad += done.returncode != 0
        if n == 0 and done.returncode == 0:
            ran = subprocess.run([program, model], capture_output=True, text=True, check=False)
            assert page.name == "README.md" and ran.returncode == 0 and ran.stdout.startswith("Once upon"), ran
        n += 1
assert n >= 3, f"only {n} snippets were found"
sys.exit(bool(bad))
