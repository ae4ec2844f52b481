# SPDX-License-Identifier: Apache-2.0
"""Neovim with the completion of examples/nvim, driven by keys as somebody types them.

    nvim.py LIBRARY
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEFORE = ["int add(int a, int b)", "{", "    return a + b;", "}", "", "int twice(int a)", "{", "    "]
BEHIND = ["}"]


class Nvim:
    def __init__(self, folder, library):
        self.socket = str(folder / "socket")
        file = folder / "add.c"
        file.write_text("\n".join(BEFORE + BEHIND) + "\n", encoding="utf-8")
        setup = {"model": str(ROOT / "models/krill.remora"), "library": library}
        self.process = subprocess.Popen(
            ["nvim", "--headless", "--listen", self.socket, "-u", "NONE", "-i", "NONE", "--cmd", f"set rtp+={ROOT}/examples/nvim noswapfile",
             "-c", f"lua require 'remora_complete'.setup(vim.json.decode([==[{json.dumps(setup)}]==]))", str(file)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(self.socket):
            assert self.process.poll() is None, "nvim has ended"
            time.sleep(0.05)

    def say(self, *words):
        """What Neovim answers, which some of its releases write to the one and some to the other."""
        got = subprocess.run(["nvim", "--server", self.socket, *words], check=True, capture_output=True, text=True, timeout=60)
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


def check_accept(nvim, text):
    nvim.keys("<Tab>")
    while not nvim.line() == "    retu" + text:
        time.sleep(0.02)
    assert nvim.lua("return vim.api.nvim_win_get_cursor(0)") == [len(BEFORE), len("    retu" + text)]
    print("ok nvim takes the text with the key")


def check_inside_a_line(nvim):
    """The ghost text moves what is behind the cursor, or where Neovim cannot do that, there is none: nothing is covered."""
    n = nvim.state()["counts"]["requests"]
    nvim.keys("<Esc>ccint f(int a) {  }<Left><Left>")
    state = nvim.idle(n + 1)
    while nvim.line()[nvim.lua("return vim.api.nvim_win_get_cursor(0)[2]"):] != " }":
        time.sleep(0.02)
    state = nvim.idle(n + 1)
    marks = nvim.lua("return vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_get_namespaces().remora, 0, -1, {details = true})")
    if nvim.lua("return vim.fn.has(\"nvim-0.10\")") == 1:
        assert all(m[3]["virt_text_pos"] == "inline" for m in marks), marks
    else:
        assert marks == [] and not state.get("ghost"), (marks, state)
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
        nvim = Nvim(pathlib.Path(folder), library)
        try:
            check_accept(nvim, check_typing(nvim, library))
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
