# SPDX-License-Identifier: Apache-2.0
"""`remora chat` in tmux, which shows what a person would see: editing, windows that change, interrupts, a full context, a model
without a chat format. in_tmux.py REMORA. And reasoning and tools, with models whose tokenizer has what they need:
in_tmux.py REMORA KRILL, which is the folder of krill."""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

REMORA = sys.argv[1]
BOX = pathlib.Path(__file__).resolve().parents[2] / "models" / "krill.remora"
LONG = "Tell me of the sea, of the wind and of all the ships that sail on it, and of the birds"


class Window:
    """A tmux server of its own with one window."""

    def __init__(self, folder, *args, model=BOX):
        self.folder = tempfile.TemporaryDirectory(dir=folder)  # the server of the window before may still be ending
        self.tmux = ["tmux", "-S", self.folder.name + "/socket", "-f", "/dev/null", "-u"]
        line = shlex.join([REMORA, "chat", "-m", str(model), *args]) + "; echo code $?; read -r line"
        env = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        env.pop("TMUX", None)
        subprocess.run([*self.tmux, "new-session", "-d", "-x", "60", "-y", "30", line], check=True, env=env)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call("kill-server")

    def call(self, *args):
        return subprocess.run([*self.tmux, *args], check=True, capture_output=True, text=True).stdout

    def keys(self, *keys):
        self.call("send-keys", *keys)

    def type(self, text, *then):
        self.call("send-keys", "-l", text)
        if then:
            self.keys(*then)

    def rows(self):
        return self.call("capture-pane", "-p").rstrip().split("\n")

    def dimmed(self):
        """What of the screen is dim, its rows joined."""
        parts = re.split("\x1b\\[([0-9;]*)m", self.call("capture-pane", "-p", "-e"))
        dim, out = False, ""
        for text, codes in zip(parts[::2], ["", *parts[1::2]]):
            dim = (dim or "2" in codes.split(";")) and "0" not in codes.split(";")
            out += text.replace("\n", "") if dim else ""
        return out.rstrip()

    def cursor(self):
        return tuple(map(int, self.call("display-message", "-p", "#{cursor_x} #{cursor_y}").split()))

    def until(self, good, what):
        """Wait for a screen; the runner ends what waits for ever, and the output says what it waited for."""
        print("waiting for", what, flush=True)
        while not good(self.rows()):
            time.sleep(0.05)
        return self.rows()

    def until_last(self, *rows):
        n = len(rows)
        return self.until(lambda have: [r.rstrip() for r in have[-n:]] == [r.rstrip() for r in rows], repr(rows))

    def until_prompt(self, behind=""):
        """Wait until an empty prompt is the last row; `behind`: what has to stand in the row before."""
        return self.until(lambda have: have[-1].endswith(" >") and (len(have) < 2 or behind in have[-2]), f"a prompt behind {behind!r}")

    def ask(self, text):
        """Type a line, and wait for the prompt behind all that it causes."""
        before = self.rows()
        self.type(text, "Enter")
        return self.until(lambda have: have != before and have[-1].endswith(" >"), f"the end of {text!r}")


def wrapped(text, width):
    return [text[i:i + width] for i in range(0, len(text), width)]


def editing(folder):
    with Window(folder, "--format", "deepseek-v3", "--ctx", "256", "-n", "12", "--temp", "0") as w:
        w.until_last("0/256 >")
        # tmux moves the first rows of a window that is not full into its history when it wraps anew
        for _ in range(4):
            w.type("/help", "Enter")
        w.until(lambda rows: len(rows) == 30 and rows[-1] == "0/256 >" and "/help" not in rows[-2], "a full window")
        w.type(LONG)
        shown = "0/256 > " + LONG
        w.until_last(*wrapped(shown, 60))
        # the text wraps anew where the window is narrower or wider, and the cursor stays behind it
        for width in 40, 23, 47, len(shown):
            w.call("resize-window", "-x", str(width), "-y", "30")
            w.until_last(*wrapped(shown, width))
            w.until(lambda _: w.cursor()[0] == len(shown) % width, f"the cursor of a width of {width}")
        w.call("resize-window", "-x", "60", "-y", "30")
        # in the middle, from the beginning, a word less at the end
        w.keys("Home")
        w.type("Please. ")
        w.keys("End", "C-w", "BSpace", "Left", "BSpace", "Delete")
        w.until_last(*wrapped("0/256 > Please. " + LONG[:-len(" birds") - 2], 60))
        w.keys("C-u")
        w.until_last("0/256 >")
        # several lines are one turn: a backslash, Alt-Enter, a paste; wide characters take two columns
        w.type("one\\", "Enter")
        w.type("two")
        w.keys("M-Enter")
        w.call("set-buffer", "three\nvier 海海")
        w.call("paste-buffer", "-p")
        w.until_last("0/256 > one", "two", "three", "vier 海海")
        w.until(lambda _: w.cursor()[0] == len("vier ") + 4, "the cursor behind wide characters")
        w.keys("Enter")
        taken = w.until_prompt("[cut after 12 tokens]")[-1]
        assert taken != "0/256 >", taken
        # lines before, and one that is dropped
        w.type("new")
        w.keys("Up")
        w.until_last(taken + " one", "two", "three", "vier 海海")
        w.keys("Down")
        w.until_last(taken + " new")
        w.keys("C-c")
        w.until_last(taken + " new^C", taken)
        w.type("/who", "Enter")
        w.until(lambda rows: any("/who: no such command" in r for r in rows) and rows[-1] == taken, "help")
        w.type("/clear", "Enter")
        w.until_last("0/256 >")
        w.keys("C-c")
        w.until_last("0/256 > ^C", "code 130")


def answers(folder):
    """Answers of any length: an interrupt, a window that changes, and the end of the context."""
    with Window(folder, "--format", "deepseek-v3", "--ctx", "300", "--temp", "1.5", "--seed", "3") as w:
        w.until_last("0/300 >")
        w.type("Tell me a long story.", "Enter")
        w.until(lambda rows: len(rows) > 2, "an answer")
        w.call("resize-window", "-x", "50", "-y", "30")
        w.keys("C-c")
        stopped = w.until_prompt("[stopped]")[-1]
        rows = w.ask("And another one, which is longer than the context is.")
        while "lear]" not in rows[-2]:  # where the first answer was cut is chance, and so is the length of this one
            rows = w.ask("/again")
        w.type("x", "Enter")
        full = "remora: the conversation does not fit into 300 tokens any more: /undo, /clear"
        w.until(lambda rows: "".join(rows[-3:-1]).replace(" ", "") == full.replace(" ", ""), "a full context")
        w.type("/undo", "Enter")
        w.until_last(stopped)
        w.keys("C-d")
        w.until(lambda rows: rows[-1] == "code 0", "the end")


def without_a_format(folder):
    with Window(folder) as w:
        rows = w.until(lambda rows: rows[-1].startswith("code"), "the end")
        said = "".join(rows)
        assert "has no chat template" in said and "--format takes here: " in said and "deepseek-v3" in said, rows
        assert "kimi" not in said and rows[-1] == "code 1", rows


def krill_with(folder, change):
    """The folder of krill with another tokenizer: what `change` makes of it."""
    krill = pathlib.Path(sys.argv[2]).resolve()
    (folder / "model").mkdir()
    for name in os.listdir(krill):
        if name != "tokenizer.json":
            (folder / "model" / name).symlink_to(krill / name)
    tokenizer = change(json.loads((krill / "tokenizer.json").read_text(encoding="utf-8")))
    (folder / "model" / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder / "model"


def renamed(tokenizer, names):
    """With other texts of tokens: {old: new}."""
    for token in tokenizer["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    vocab = tokenizer["model"]["vocab"]
    assert set(names) <= set(vocab)
    tokenizer["model"]["vocab"] = {names.get(text, text): i for text, i in vocab.items()}
    return tokenizer


def ends_reasoning_at_was(tokenizer):
    """The word and the end of reasoning change places, so krill reasons until it comes to that word."""
    vocab = tokenizer["model"]["vocab"]
    vocab["Ġwas"], vocab["</think>"] = vocab["</think>"], vocab["Ġwas"]
    for token in tokenizer["added_tokens"]:
        token["id"] = vocab[token["content"]]
    return tokenizer


def reasoning(folder):
    """Reasoning is dim and the answer is not; folded it is not there."""
    model = krill_with(folder, ends_reasoning_at_was)
    args = ["--format", "deepseek-v3.1", "--think", "on", "--ctx", "2048", "-n", "14", "--temp", "0"]
    answer = " a very good story", "[cut after 14 tokens]", "15/2048 >"
    with Window(folder, *args, model=model) as w:
        w.until_last("0/2048 >")
        w.type("Tell me a story.", "Enter")
        w.until_prompt("[cut after 14 tokens]")
        assert w.dimmed() == "0/2048 > " + "a, the story of the night before," + "15/2048 >", w.dimmed()
        w.type("/fold", "Enter")
        w.until_last("15/2048 > /fold", "15/2048 >")
        w.type("/again", "Enter")
        w.until_last("15/2048 > /again", *answer)
        w.type("/fold", "Enter")
        w.until_last("15/2048 > /fold", "15/2048 >")
        w.type("/again", "Enter")
        w.until_last("15/2048 > /again", "a, the story of the night before,", "", *answer)
    with Window(folder, *args, "--fold", model=model) as w:
        w.until_last("0/2048 >")
        w.type("Tell me a story.", "Enter")
        w.until_last("0/2048 > Tell me a story.", *answer)


def tools(folder):
    """Calls, whose results somebody types or a command gives; krill does not call by itself."""
    weather = {"type": "object", "properties": {"town": {"enum": ["Oslo", "Rome"]}}, "required": ["town"], "additionalProperties": False}
    route = {"type": "object", "properties": {"stops": {"type": "array", "uniqueItems": True}}}
    declared = [{"name": "weather", "description": "of a town", "parameters": weather}, {"name": "now"},
                {"name": "route", "parameters": route}]
    (folder / "tools.json").write_text(json.dumps([{"type": "function", "function": f} for f in declared]))
    args = ["--format", "deepseek-v4", "--ctx", "2048", "-n", "60", "--temp", "0", "--tools", str(folder / "tools.json")]
    # the token of padding is the one of DeepSeek-V4's calls
    model = krill_with(folder, lambda tokenizer: renamed(tokenizer, {"<｜▁pad▁｜>": "｜DSML｜"}))
    with Window(folder, *args, model=model) as w:
        w.until_last("0/2048 >")
        w.type("/call", "Enter")
        w.until(lambda rows: rows[-2:] == ["0/2048 > /call", "0/2048 >"], "no question")
        w.type("How is the weather?", "Enter")
        w.until_prompt("[cut after 60 tokens]")
        w.type("/call nope", "Enter")
        w.until(lambda rows: "no tool of the name" in "".join(rows[-3:]) and rows[-1].endswith(" >"), "a refusal")
        w.type("/call weather", "Enter")
        asked = w.until(lambda rows: rows[-1] == "weather =", "a call")
        assert asked[-2] in ('[weather {"town": "Oslo"}]', '[weather {"town": "Rome"}]'), asked
        w.type("It rains.", "Enter")
        rows = w.until_prompt("[cut after 60 tokens]")
        assert "weather = It rains." in rows, rows
        w.type("/call now", "Enter")
        asked = w.until(lambda rows: rows[-1] == "now =", "another call")
        assert asked[-2] == "[now {}]", asked
        w.keys("C-c")
        w.until_last("[stopped]", "0/2048 >")
        w.keys("C-d")
        w.until_last("code 0")
    with Window(folder, *args, "--tool-command", "tr a-z A-Z; echo; exit 3", model=model) as w:
        w.until_last("0/2048 >")
        w.type("How is the weather?", "Enter")
        w.until_prompt("[cut after 60 tokens]")
        rows = w.ask("/call now")  # the answer before ended the same way
        assert "".join(rows).count("tool route: /properties/stops/uniqueItems: uniqueItems") == 1, rows
        at = rows.index("[now {}]")
        assert rows[at + 1:at + 3] == ["remora: the tool command ended with code 3", '{"NAME": "NOW", "ARGUMENTS": {}}'], rows


for test in (editing, answers, without_a_format) if len(sys.argv) == 2 else (reasoning, tools):
    with tempfile.TemporaryDirectory() as here:
        print("==", test.__name__, flush=True)
        test(pathlib.Path(here))
