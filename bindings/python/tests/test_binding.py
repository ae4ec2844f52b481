# SPDX-License-Identifier: Apache-2.0
"""The Python binding: declarations, errors, handles, callbacks, threads, fork and interrupts.

    test_binding.py SOURCE_ROOT [unittest arguments]
"""
import asyncio
import contextlib
import ctypes
import gc
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import unittest
from typing import Any, Iterator, List, Set, Tuple, Union

import remora
from remora import _abi, errors
from remora._run import interruptible

ROOT = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else pathlib.Path(".")
KRILL = ROOT / "models" / "krill.remora"
LONG = "The sea is wide and the boat is small. " * 45
MODEL = remora.Model(KRILL)


def told(seed: int = 0, n: int = 16) -> "remora.Generation":
    session = remora.Session(MODEL)
    session.append_text("Once upon a time")
    return session.generate(remora.Sampler(MODEL, seed), max_tokens=n)


# What the package does not use of the interface, and why.
ABSENT = {
    "remora_version": "the text of the version is there",
    "remora_model_runtime": "a runtime that a program makes is in its hands",
    "remora_session_model": "Session.model",
    "REMORA_SOURCE_READ_LATER": "nothing does that yet",
    **dict.fromkeys(("remora_runtime_opts.alloc_user", "remora_runtime_opts.alloc", "remora_runtime_opts.resize",
                     "remora_runtime_opts.dealloc"), "an allocator cannot be a function of Python: it may not take the interpreter's lock"),
    **dict.fromkeys(("remora_runtime_opts.run_user", "remora_runtime_opts.run"), "Python has no job system that computes in parallel"),
    **dict.fromkeys(("remora_runtime_opts.thread_start_user", "remora_runtime_opts.thread_start"),
                    "what it is for (priority, cores) Python has for a whole process"),
    **dict.fromkeys(("remora_model_opts.progress_user", "remora_convert_opts.progress_user", "remora_verify_opts.progress_user"),
                    "a callback of Python holds what it needs"),
}


def unused() -> Set[str]:
    """Names of the description that are nowhere in the modules: functions, flags, and fields of structs that are passed in."""
    source = "".join(p.read_text(encoding="utf-8") for p in pathlib.Path(remora.__file__).parent.glob("*.py"))
    names = {name for name in _abi.F if f'"{name}"' not in source}
    for enum in _abi.D.abi["enums"]:
        if enum["name"].endswith("_flags"):
            names |= {v["name"] for v in enum["values"] if f'"{v["name"]}"' not in source}
    for name, struct in _abi.D.structs.items():
        if name.endswith("_opts") or name in ("remora_source", "remora_stage", "remora_turn"):
            names |= {f"{name}.{field}" for field, _ in struct._fields_
                      if field not in ("struct_size", "reserved") and not re.search(rf"\b{field}=|\.{field} =|\"{field}\"", source)}
    fields = {field for field, _ in _abi.D.structs["remora_chat_format"]._fields_} - {"struct_size", "flags"}
    return names | (fields ^ set(remora.ChatFormat._fields))


class Declared(unittest.TestCase):
    def test_layout_is_that_of_the_description(self) -> None:
        abi = json.loads((ROOT / "include" / "remora" / "remora.abi.json").read_text(encoding="utf-8"))
        self.assertEqual({s["name"] for s in abi["structs"]}, set(_abi.D.structs))
        for struct in abi["structs"]:
            made = _abi.D.structs[struct["name"]]
            self.assertEqual(ctypes.sizeof(made), struct["size"], struct["name"])
            self.assertEqual([f["name"] for f in struct["fields"]], [name for name, _ in made._fields_])
            for field in struct["fields"]:
                where = getattr(made, field["name"])
                self.assertEqual((where.offset, where.size), (field["offset"], field["size"]), (struct["name"], field["name"]))

    def test_imports_where_no_process_forks(self) -> None:
        """What Windows lacks of the module os is not asked for."""
        program = "import os; del os.fork, os.register_at_fork; import remora"
        subprocess.run([sys.executable, "-c", program], check=True)

    def test_every_function_is_declared(self) -> None:
        abi = json.loads((ROOT / "include" / "remora" / "remora.abi.json").read_text(encoding="utf-8"))
        self.assertEqual({f["name"] for f in abi["functions"]}, set(_abi.F))
        for function in abi["functions"]:
            self.assertEqual(len(function["parameters"]), len(_abi.F[function["name"]].argtypes))

    def test_everything_is_used_or_named_here(self) -> None:
        """Functions, flags, and fields of structs that a program fills: what Python has not has a reason."""
        self.assertEqual(unused(), set(ABSENT))

    def test_a_library_of_another_release_is_refused(self) -> None:
        with self.assertRaisesRegex(ImportError, "is of release 1.0.* this package needs 2.0"):
            _abi._load("2.0")

    def test_every_status_has_an_exception(self) -> None:
        names = {errors.status_name(v) for n, v in _abi.D.values.items() if n.startswith("REMORA_E_")}
        self.assertEqual(names, set(errors.BY_STATUS))


class Errors(unittest.TestCase):
    def test_message_and_status_and_kind(self) -> None:
        with self.assertRaises(remora.ArgumentError) as e:
            remora.Session(MODEL).append([1, 8192])
        self.assertEqual((str(e.exception), e.exception.status), ("token 1 is 8192, the vocabulary has 8192", "E_ARG"))
        self.assertIsInstance(e.exception, ValueError)

    def test_no_such_model(self) -> None:
        with self.assertRaises(remora.NotFound):
            remora.Model(ROOT / "nothing")

    def test_closed_handles_say_so(self) -> None:
        with remora.Session(MODEL) as session:
            session.append([5])
        with self.assertRaisesRegex(ValueError, "this Session is closed"):
            session.append([5])
        session.close()

    def test_handles_are_freed_in_any_order(self) -> None:
        model = remora.Model(KRILL)
        session, sampler = remora.Session(model), remora.Sampler.greedy(model)
        model.close()
        session.append([5, 6])
        self.assertEqual(len(list(session.generate(sampler, max_tokens=3))), 3)
        with self.assertRaises(ValueError):
            model.tokenize("x")

    def test_words(self) -> None:
        with self.assertRaisesRegex(ValueError, "'int9' is none of bf16, f32, int8"):
            remora.Session(MODEL, kv_type="int9")


class Rows(unittest.TestCase):
    def test_rows_are_copies(self) -> None:
        session = remora.Session(MODEL)
        session.append([0, 488, 2359], hidden=True)
        session.eval()
        logits, hidden = session.logits(), session.hidden()
        before = (list(logits), list(hidden))
        self.assertEqual((len(logits), len(hidden)), (MODEL.n_vocab, MODEL.n_hidden))
        session.append([5], hidden=True)
        session.eval()
        session.close()
        gc.collect()
        self.assertEqual((list(logits), list(hidden)), before)

    def test_without_numpy(self) -> None:
        from remora import _arrays as module
        kept, session = module.numpy, remora.Session(MODEL)
        session.append([0, 5])
        session.eval()
        with_numpy = list(session.logits())
        try:
            module.numpy = None
            self.assertEqual(list(session.logits()), with_numpy)
            row: Any = session.logits()
            self.assertEqual(memoryview(row).format, "f")
        finally:
            module.numpy = kept

    def test_blobs_are_kept(self) -> None:
        files = {"krill.remora": KRILL.read_bytes()}
        model = remora.Model(files)
        files.clear()
        gc.collect()
        session = remora.Session(model)
        session.append_text("Once upon a time")
        self.assertEqual(session.generate(max_tokens=4).text(), ", there was a")
        session.close()
        model.close()
        gc.collect()
        self.assertFalse([k for k in _abi._kept.values() if isinstance(k, dict)])


class Callbacks(unittest.TestCase):
    def test_a_stage_chooses(self) -> None:
        def only(candidates: remora.Candidates) -> None:
            for i in range(len(candidates)):
                if candidates[i].token != 21:
                    candidates[i].logit = float("-inf")
        session = remora.Session(MODEL)
        session.append([0, 488])
        generation = session.generate(remora.Sampler(MODEL).custom(only), max_tokens=3)
        self.assertEqual((generation.text(), generation.tokens), (",,,", [21] * 3))

    def test_what_a_stage_raises_the_call_raises(self) -> None:
        def wrong(_: remora.Candidates) -> None:
            raise KeyError("mine")
        session = remora.Session(MODEL)
        session.append([0, 488])
        sampler = remora.Sampler(MODEL).custom(wrong)
        with self.assertRaisesRegex(KeyError, "mine"):
            next(session.generate(sampler))
        session.eval()
        with self.assertRaisesRegex(KeyError, "mine"):
            session.pick(sampler)

    def test_a_stage_is_released(self) -> None:
        before = len(_abi._kept)
        sampler = remora.Sampler(MODEL).custom(lambda c: None)
        other = sampler.clone()
        sampler.close()
        self.assertEqual(len(_abi._kept), before + 1)
        other.close()
        self.assertEqual(len(_abi._kept), before)

    def test_progress(self) -> None:
        seen: List[Any] = []
        remora.Model(KRILL, progress=lambda done, total: seen.append((done, total)))
        self.assertTrue(seen)
        with self.assertRaises(remora.Cancelled):
            remora.Model(KRILL, progress=lambda done, total: False)

        def wrong(done: int, total: int) -> None:
            raise KeyError("mine")
        with self.assertRaisesRegex(KeyError, "mine"):
            remora.Model(KRILL, progress=wrong)

    def test_log(self) -> None:
        lines: List[Any] = []
        runtime = remora.Runtime(threads=1, log=lambda level, line: lines.append((level, line)), log_level="debug",
                                 cuda_module="/nothing")
        self.assertEqual(runtime.devices()[0]["id"], "cpu")
        self.assertEqual(runtime.info()["n_threads"], 1)
        self.assertTrue(lines)


class Sessions(unittest.TestCase):
    def test_options_make_one_like_it(self) -> None:
        session = remora.Session(MODEL, capacity=64, chunk=32, kv_type="int8", pages_as_needed=True)
        self.assertEqual(session.options(), {"capacity": 64, "chunk": 32, "kv_type": "int8", "pages_as_needed": True,
                                             "prediction": False})
        self.assertEqual(remora.Session(MODEL, **session.options()).options(), session.options())
        self.assertEqual(remora.Session(MODEL).options()["kv_type"], "bf16")

    def test_shares_of_a_hole(self) -> None:
        def texts(prefix: int, suffix: int) -> List[int]:
            hole = MODEL.fim("sea " * 200, "boat " * 200, max_tokens=100, prefix_share=prefix, suffix_share=suffix)
            return [MODEL.detokenize(hole.tokens).count(word) for word in ("sea", "boat")]
        self.assertEqual(texts(0, 0), texts(60, 25))
        self.assertGreater(texts(80, 20)[0], texts(20, 80)[0])
        self.assertLess(texts(80, 20)[1], texts(20, 80)[1])


class Chats(unittest.TestCase):
    def test_a_format_of_the_host(self) -> None:
        own = remora.ChatFormat(user_open="Q: ", user_close="\n", assistant_open="A:", assistant_close="\n", system_text="Be short.\n")
        chat = remora.Chat(MODEL, own).add("user", "Why?")
        self.assertEqual(chat.info()["format"], "described")
        self.assertEqual(MODEL.detokenize(chat.prompt().tokens), "Be short.\nQ: Why?\nA:")
        with self.assertRaises(remora.NotFound):
            remora.Chat(MODEL, own._replace(tools_of="nothing"))

    def test_as_the_template(self) -> None:
        chat = remora.Chat(MODEL, "deepseek-v3").add("user", "Why?")
        chat.add_tool({"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}})
        self.assertGreater(len(chat.prompt().tokens), len(chat.prompt(as_template=True).tokens))  # it declares no tools

    def test_an_answer_is_taken_back(self) -> None:
        parse = remora.ChatParse(MODEL, format="deepseek-v3")
        first = "".join(e.text for e in parse.push_text("One. "))
        there = parse.clone()
        two = "".join(e.text for e in parse.push_text("Two."))
        parse.copy_from(there)
        self.assertEqual(parse.info()["bytes"], len("One. "))
        three = "".join(e.text for e in [*parse.push_text("Three."), *parse.end()])
        self.assertEqual((first, two, three), ("One. ", "Two.", "Three."))


class Constraints(unittest.TestCase):
    SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}}, "required": ["n"],
              "additionalProperties": False}

    def answer(self, schema: Any) -> Any:
        session = remora.Session(MODEL)
        session.append_text("As JSON: ")
        sampler = remora.Sampler.greedy(MODEL).constrain(remora.Constraint.schema(MODEL, schema))
        return json.loads(session.generate(sampler, max_tokens=40).text())

    def test_schemas(self) -> None:
        class Like:  # of pydantic's models
            @classmethod
            def model_json_schema(cls) -> Any:
                return Constraints.SCHEMA
        for schema in (self.SCHEMA, json.dumps(self.SCHEMA), Like):
            self.assertIn(self.answer(schema)["n"], range(10))


    def test_answers_keep_to_what_is_asked(self) -> None:
        form = {"type": "json_schema", "json_schema": {"name": "n", "schema": self.SCHEMA}}
        chat = remora.Chat(MODEL, "deepseek-v3")
        chat.add_request({"messages": [{"role": "user", "content": "A number as JSON"}], "response_format": form})
        answer = chat.answer(remora.Session(MODEL), max_tokens=40, bounded=True)
        self.assertIn(json.loads(answer.text())["n"], range(10))
        tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
        with self.assertRaisesRegex(remora.Unsupported, "no token of the marker"):  # krill was not trained for calls
            remora.Chat(MODEL, "deepseek-v3").add_tool(tool).add("user", "Look").constraint(choice="required")


class Threads(unittest.TestCase):
    def test_guesses_change_nothing(self) -> None:
        text = "red blue red blue red blue red blue"
        made = []
        for drafts in (0, 4, "auto"):
            session = remora.Session(MODEL)
            session.append_text(text)
            made.append(session.generate(max_tokens=24, max_drafts=drafts))
            made[-1].text()
        self.assertEqual(made[0].tokens, made[1].tokens)
        self.assertEqual(made[0].tokens, made[2].tokens)
        self.assertEqual(made[0].session.stats()["drafts"], 0)
        self.assertGreater(made[1].session.stats()["drafts"], 0)

    def test_guesses_change_no_token_of_generate_tokens(self) -> None:
        text = "red blue red blue red blue red blue"
        made = []
        for drafts in (0, 4, "auto"):
            session = remora.Session(MODEL)
            session.append_text(text)
            made.append(list(session.generate_tokens(max_tokens=24, max_drafts=drafts)))
            if drafts != "auto":
                self.assertEqual(session.stats()["drafts"] > 0, drafts != 0)
        self.assertEqual(made[1:], [made[0]] * 2)

    def test_guesses_of_a_batch_change_nothing(self) -> None:
        def made(max_drafts: Union[int, str]) -> Tuple[List[List[int]], int]:
            sessions = [remora.Session(MODEL) for _ in range(3)]
            sampler = remora.Sampler.greedy(MODEL)
            tokens: List[List[int]] = [[] for _ in sessions]
            for session, text in zip(sessions, ("red blue red blue red blue red", "one two one two one two one", "Once upon")):
                session.append_text(text)
            while any(len(t) < 16 for t in tokens):
                remora.eval_all(sessions, max_drafts=max_drafts)
                for session, t in zip(sessions, tokens):
                    while session.info()["pending"] == 0:
                        t.append(session.pick(sampler))
                        session.append([t[-1]])
                        session.eval(ahead=True)
            return [t[:16] for t in tokens], sum(session.stats()["drafts_used"] for session in sessions)
        plain, none = made(0)
        guessed, used = made(4)
        self.assertEqual((plain, plain, 0), (guessed, made("auto")[0], none))
        self.assertGreater(used, 0)

    def test_sessions_run_beside_each_other(self) -> None:
        alone = [told(seed).text() for seed in range(4)]
        got: List[str] = [""] * 4

        def work(seed: int) -> None:
            got[seed] = told(seed).text()
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(got, alone)

    def test_a_handle_in_use_is_busy(self) -> None:
        session, inside, go = remora.Session(MODEL), threading.Event(), threading.Event()

        def wait(_: remora.Candidates) -> None:
            inside.set()
            go.wait()
        session.append([0, 488])
        generation = session.generate(remora.Sampler(MODEL).custom(wait), max_tokens=1)
        thread = threading.Thread(target=generation.text)
        thread.start()
        inside.wait()
        try:
            for call in (lambda: session.append([5]), session.info, session.close):
                self.assertRaises(remora.Busy, call)
        finally:
            go.set()
            thread.join()
        session.append([5])

    def test_cancel_from_another_thread(self) -> None:
        session, cancel = remora.Session(MODEL), remora.Cancel()
        session.append_text(LONG)
        generation = session.generate(cancel=cancel)
        timer = threading.Timer(0.05, cancel.set)
        timer.start()
        with self.assertRaises(remora.Cancelled):
            generation.text()
        cancel.clear()
        self.assertTrue(next(generation))

    def test_async(self) -> None:
        alone = [told(1).text(), told(2).text()]

        async def one(seed: int) -> str:
            return "".join([piece async for piece in told(seed)])

        async def both() -> List[str]:
            return list(await asyncio.gather(one(1), one(2)))
        self.assertEqual(asyncio.run(both()), alone)

    def test_an_async_task_is_cancelled(self) -> None:
        generation = told(1, 0)

        async def run() -> int:
            task = asyncio.ensure_future(self.drain(generation))
            while not generation.tokens:
                await asyncio.sleep(0.01)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            return len(generation.tokens)
        made = asyncio.run(run())
        self.assertEqual((len(generation.tokens), made > 0), (made, True))
        self.assertTrue(next(generation))  # nothing is lost, and nobody is in the session

    async def drain(self, generation: "remora.Generation") -> None:
        async for _ in generation:
            pass


class Forked(unittest.TestCase):
    def in_child(self, work: Any) -> int:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if work() else 2
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_a_child_goes_on(self) -> None:
        alone = told(3).text()
        self.assertEqual(self.in_child(lambda: told(3).text() == alone), 0)
        self.assertEqual(told(3).text(), alone)

    def test_what_another_thread_used_is_busy_in_the_child(self) -> None:
        session, inside, go = remora.Session(MODEL), threading.Event(), threading.Event()

        def wait(_: remora.Candidates) -> None:
            inside.set()
            go.wait()
        session.append([0, 488])
        thread = threading.Thread(target=session.generate(remora.Sampler(MODEL).custom(wait), max_tokens=1).text)
        thread.start()
        inside.wait()

        def child() -> bool:
            try:
                session.append([5])
            except remora.Busy:
                session.close()
                return True
            return False
        code = self.in_child(child)
        go.set()
        thread.join()
        self.assertEqual(code, 0)


class Interrupts(unittest.TestCase):
    """Ctrl-C is a KeyboardInterrupt in the middle of a call: how much the call has done by then is counted. What was computed
    stays, and the next call goes on.

    One thread computes, so that no processor is through with the work before anybody could have pressed a key.
    """

    model = remora.Model(KRILL, runtime=remora.Runtime(threads=1))
    prompt = (model.tokenize(LONG) * 2)[:600]

    def session(self) -> remora.Session:
        session = remora.Session(self.model, chunk=32, capacity=700)
        session.append(self.prompt)
        return session

    @contextlib.contextmanager
    def pressed_inside(self, session: remora.Session) -> Iterator[None]:
        """Ctrl-C when the library is in a call that changes the session, which is that of the block."""
        def press() -> None:
            while not session._writer:
                pass
            os.kill(os.getpid(), signal.SIGINT)
        thread = threading.Thread(target=press)
        thread.start()
        with self.assertRaises(KeyboardInterrupt):
            yield
            thread.join()
        thread.join()

    def press_and_wait(self, cancel: remora.Cancel) -> None:
        """Ctrl-C from inside a callback, which returns when the main thread has seen it, or never will."""
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(5000):
            if cancel.is_set():
                return
            time.sleep(0.001)

    def test_prefill(self) -> None:
        session, whole = self.session(), self.session()
        with self.pressed_inside(session):
            session.eval()
        self.assertLess(session.info()["committed"], len(self.prompt))
        session.eval()
        whole.eval()
        self.assertEqual((session.info()["committed"], session.top(3)), (len(self.prompt), whole.top(3)))

    def test_several_sessions(self) -> None:
        sessions = [self.session(), self.session()]
        with self.pressed_inside(sessions[1]):
            remora.eval_all(sessions)
        self.assertLess(sum(s.info()["committed"] for s in sessions), 2 * len(self.prompt))
        self.assertTrue(remora.eval_all(sessions))  # nobody is in them

    def test_generate(self) -> None:
        session, whole = self.session(), self.session()
        generation = session.generate(max_tokens=5)
        with self.pressed_inside(session):
            generation.text()
        self.assertLess(session.info()["committed"], len(self.prompt))
        self.assertEqual(generation.tokens, [])
        self.assertEqual(generation.text(), whole.generate(max_tokens=5).text())

    def test_while_a_stage_is_called(self) -> None:
        """The tokens have no text, so that the call would go on until it has made as many as there is room for."""
        mute = self.model.special("fim_begin")
        calls, cancel = itertools.count(1), remora.Cancel()

        def stage(candidates: remora.Candidates) -> None:
            if next(calls) == 3:
                self.press_and_wait(cancel)
            for i in range(len(candidates)):
                if candidates[i].token != mute:
                    candidates[i].logit = float("-inf")
        session = remora.Session(self.model)
        session.append_text("Once")
        generation = session.generate(remora.Sampler(self.model).custom(stage), max_tokens=40, cancel=cancel)
        with self.assertRaises(KeyboardInterrupt):
            generation.text()
        self.assertEqual((generation.tokens, next(calls)), ([mute] * 3, 4))
        self.assertEqual((generation.text(), generation.tokens), ("", [mute] * 40))

    def cut_by_progress(self, call: Any) -> None:
        """A call that tells how far it is does not come to the end of its work, and nothing of it goes on."""
        seen: List[Any] = []
        inside: List[bool] = []
        cancel = remora.Cancel()

        def told(done: int, total: int) -> None:
            seen.append((done, total))
            if len(seen) == 1:
                inside.append(True)
                self.press_and_wait(cancel)
                inside.clear()
        with self.assertRaises(KeyboardInterrupt):
            call(told, cancel)
        self.assertFalse(inside)
        done, total = seen[-1]
        self.assertLess(done, total)
        self.assertFalse(cancel.is_set())

    def test_opening(self) -> None:
        self.cut_by_progress(lambda told, cancel: remora.Model(KRILL, mmap=False, progress=told, cancel=cancel))

    def test_verify(self) -> None:
        self.cut_by_progress(lambda told, cancel: remora.verify(KRILL, progress=told, cancel=cancel))

    def test_at_the_end_of_a_call(self) -> None:
        """A signal that comes when the call is just over: no wait for an end that was waited for already."""
        for i in range(200):
            gone = threading.Event()

            def call(_: remora.Cancel) -> None:
                gone.set()
                time.sleep(0.0005)

            def kill() -> None:
                gone.wait()
                time.sleep(0.0004 + i % 20 * 0.00002)
                os.kill(os.getpid(), signal.SIGINT)
            killer = threading.Thread(target=kill)
            with self.assertRaises(KeyboardInterrupt):
                killer.start()
                interruptible(call)
                killer.join()
                time.sleep(1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background has it ignored
    unittest.main()
