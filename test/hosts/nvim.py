# SPDX-License-Identifier: Apache-2.0
"""Neovim with the completion of examples/nvim, driven by keys as somebody types them.

    nvim.py LIBRARY FOLDER      FOLDER gets the picture of the screen
"""
import html
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from chromium import chromium

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEFORE = ["int add(int a, int b)", "{", "    return a + b;", "}", "", "int twice(int a)", "{", "    "]
BEHIND = ["}"]
LOOK = "set lines=11 columns=56 laststatus=2 shortmess+=F termguicolors | syntax on | colorscheme slate"
# Of each cell of the screen, as Neovim gives it to what draws it: the text, its colour, and the colour behind it. The first look
# at a cell numbers all colours anew, so the screen is drawn behind it. The cells go into a file, for long answers are shortened.
CELLS = """pcall(vim.api.nvim__inspect_cell, 1, 0, 0)
    vim.cmd("redraw!")
    local normal = vim.api.nvim_get_hl_by_name("Normal", true)
    local rows = {}
    for row = 1, vim.o.lines do
        rows[row] = {}
        for column = 1, vim.o.columns do
            local text, look = unpack(vim.api.nvim__inspect_cell(1, row - 1, column - 1))
            local ink, paper = look.foreground or normal.foreground, look.background or normal.background
            if look.reverse then ink, paper = paper, ink end
            rows[row][column] = {text, ("#%06x"):format(ink), ("#%06x"):format(paper)}
        end
    end
    return vim.fn.writefile({vim.json.encode(rows)}, "FILE")"""


class Nvim:
    def __init__(self, folder, library):
        self.socket = str(folder / "socket")
        (folder / "add.c").write_text("\n".join(BEFORE + BEHIND) + "\n", encoding="utf-8")
        setup = {"model": str(ROOT / "models/krill.remora"), "library": library}
        self.process = subprocess.Popen(
            ["nvim", "--headless", "--listen", self.socket, "-u", "NONE", "-i", "NONE", "--cmd", f"set rtp+={ROOT}/examples/nvim noswapfile",
             "-c", LOOK, "-c", f"lua require 'remora_complete'.setup(vim.json.decode([==[{json.dumps(setup)}]==]))", "add.c"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(self.socket):
            assert self.process.poll() is None, "nvim has ended"
            time.sleep(0.05)

    def say(self, *words):
        """What Neovim answers, which some of its releases write to the one and some to the other."""
        got = subprocess.run(["nvim", "--server", self.socket, *words], capture_output=True, text=True, timeout=60)
        assert got.returncode == 0, got.stderr
        return got.stdout + got.stderr

    def keys(self, keys):
        self.say("--remote-send", keys)

    def lua(self, code):
        """The value of a Lua function body in the editor."""
        text = "luaeval('vim.json.encode((function() " + code.replace("'", "''") + " end)())')"
        return json.loads(self.say("--remote-expr", text))

    def state(self):
        return self.lua("return require \"remora_complete\".state()")

    def idle(self, n_requests):
        """The state when at least so many requests were made and none is under way."""
        while True:
            state = self.state()
            if state["counts"]["requests"] >= n_requests and not state["busy"]:
                return state
            time.sleep(0.02)

    def line(self):
        return self.lua("return vim.api.nvim_get_current_line()")

    def quit(self):
        subprocess.run(["nvim", "--server", self.socket, "--remote-send", "<Esc>:qa!<CR>"], capture_output=True)  # it may end first
        return self.process.wait(timeout=60)


def expected(prefix, suffix, library):
    """What the library gives for this hole, asked from LuaJIT."""
    program = """local remora = require "remora"
        local m = remora.open(arg[1])
        local hole = m:fim(arg[2], arg[3], {heal = true, max_tokens = 1024})
        local s = m:session()
        s:append(hole.tokens)
        hole.stop[#hole.stop + 1] = "\\n"
        io.write(s:generate(m:greedy():spell(hole.heal), {max_tokens = 48, stop = hole.stop}):text():sub(#hole.heal + 1))"""
    lua = ROOT / "bindings/lua"
    env = {**os.environ, "REMORA_LIBRARY": library, "LUA_PATH": f"{lua}/?.lua;{lua}/?/init.lua;;"}
    words = [str(ROOT / "models/krill.remora"), prefix, suffix]
    return subprocess.run(["luajit", "-", *words], input=program, check=True, capture_output=True, text=True, env=env).stdout


def ghost_on_screen(nvim):
    """The text of the extmarks of the buffer."""
    marks = nvim.lua("return vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_get_namespaces().remora, 0, -1, {details = true})")
    return ["".join(text for text, _ in mark[3]["virt_text"]) for mark in marks], [mark[1:3] for mark in marks]


def check_typing(nvim, library):
    nvim.keys(f"{len(BEFORE)}GA")
    first = nvim.idle(1)
    for n, key in enumerate("retu", 2):
        nvim.keys(key)
        state = nvim.idle(n)
        assert nvim.line() == "    " + "retu"[:n - 1], nvim.line()
    prefix, suffix = "\n".join(BEFORE) + "retu", "\n" + "\n".join(BEHIND) + "\n"
    text = expected(prefix, suffix, library)
    assert text and state["ghost"] == text, (state, text)
    assert ghost_on_screen(nvim) == ([text], [[len(BEFORE) - 1, len("    retu")]]), ghost_on_screen(nvim)
    print("ok nvim shows what the model fills in, as ghost text at the cursor")
    assert first["last"]["kept"] == 0 and state["last"]["healed"] > 0, (first, state)
    assert state["last"]["kept"] >= 20, state
    print(f"ok nvim keeps {state['last']['kept']} of {state['last']['prompt']} tokens of the prompt and heals {state['last']['healed']} bytes")
    return text


def page_of(cells, row, column):
    """The screen with its cursor as a page."""
    def spans(run):
        return "".join(f'<span style="color: {ink}; background: {paper}">{html.escape("".join(cell[0] for cell in same))}</span>'
                       for (ink, paper), same in itertools.groupby(run, lambda cell: cell[1:]))
    rows = [spans(each) for each in cells]
    rows[row] = spans(cells[row][:column]) + "<i></i>" + spans(cells[row][column:])
    return """<!doctype html><meta charset="utf-8"><style>body { margin: 0 } pre { margin: 0; font: 16px/20px monospace; width: max-content }
        span, i { display: inline-block; height: 20px; vertical-align: top } i { border-left: 2px solid white; margin-right: -2px; position: relative }
        </style><pre>""" + "\n".join(rows) + "</pre>"


def check_picture(nvim, text, folder, path):
    """The ghost text is on the screen behind the typed one, in the colour of comments, and the picture is made of that screen."""
    nvim.lua(CELLS.replace("FILE", str(folder / "cells")))
    cells = json.loads((folder / "cells").read_text(encoding="utf-8"))
    row, column = len(BEFORE) - 1, len("    retu")
    comment = nvim.lua("return (\"#%06x\"):format(vim.api.nvim_get_hl_by_name(\"Comment\", true).foreground)")
    ghost = cells[row][column:column + len(text)]
    assert "".join(cell[0] for cell in ghost) == text and {cell[1] for cell in ghost} == {comment}, ghost
    assert comment not in {cell[1] for cell in cells[row][:column]}, cells[row][:column]
    page = folder / "screen.html"
    page.write_text(page_of(cells, row, column), encoding="utf-8")
    with chromium(page.as_uri(), 800, 600) as tab:
        tab.until("document.readyState === 'complete'")
        assert "    retu" + text in tab.js("document.body.innerText")
        tab.picture(path, "pre")
    print("ok nvim has the ghost text on its screen, of which the picture is made")


def check_accept(nvim, text):
    nvim.keys("<Tab>")
    while not nvim.line() == "    retu" + text:
        time.sleep(0.02)
    assert nvim.lua("return vim.api.nvim_win_get_cursor(0)") == [len(BEFORE), len("    retu" + text)]
    print("ok nvim takes the text with the key")


def check_inside_a_line(nvim):
    """There is no ghost text where text is behind the cursor: nothing is covered."""
    n = nvim.state()["counts"]["requests"]
    nvim.keys("<Esc>ccint f(int a) {  }<Left><Left>")
    state = nvim.idle(n + 1)
    while nvim.line()[nvim.lua("return vim.api.nvim_win_get_cursor(0)[2]"):] != " }":
        time.sleep(0.02)
    state = nvim.idle(n + 1)
    assert ghost_on_screen(nvim)[0] == [] and not state.get("ghost"), state
    print("ok nvim covers no text inside a line")


def check_cancel(nvim):
    """Two texts one after the other, the second before the first can be done: the work for the first is cancelled."""
    nvim.keys("<Esc>ccint x = ")
    before = nvim.idle(nvim.state()["counts"]["requests"])["counts"]
    after = nvim.lua("""local c = require "remora_complete"
        for _, text in ipairs {"int xy = 1", "int xyz = 12"} do
            vim.api.nvim_set_current_line(text)
            vim.api.nvim_win_set_cursor(0, {vim.api.nvim_win_get_cursor(0)[1], #text})
            c.request()
        end
        return c.state()""")
    assert after["busy"], after
    state = nvim.idle(after["counts"]["requests"] + 1)
    assert state["counts"]["cancelled"] > before["cancelled"], (before, state)
    assert state["last"]["kept"] >= 20, state
    print("ok nvim cancels the work of the key before, and the next one keeps what is the same")
    nvim.keys("<Esc>")
    while nvim.lua("return vim.api.nvim_get_mode().mode") != "n":
        time.sleep(0.02)
    assert ghost_on_screen(nvim)[0] == [] and not nvim.state().get("ghost")
    print("ok nvim hides the text where insert mode is left")


def main():
    library = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        nvim = Nvim(folder, library)
        try:
            text = check_typing(nvim, library)
            check_picture(nvim, text, folder, pathlib.Path(sys.argv[2]) / "neovim.png")
            check_accept(nvim, text)
            check_inside_a_line(nvim)
            check_cancel(nvim)
            assert nvim.quit() == 0
            print("ok nvim ends")
        except BaseException as e:
            print("failed nvim:", repr(e))
            raise
        finally:
            nvim.process.kill()


if __name__ == "__main__":
    main()
