# SPDX-License-Identifier: Apache-2.0
"""The files of models: storages of a program's own, estimates, packs, and what is counted while a model computes.

    test_files.py SOURCE_ROOT [unittest arguments]
"""
import array
import itertools
import json
import math
import os
import pathlib
import random
import signal
import struct
import sys
import tempfile
import threading
import time
import unittest
from typing import Any, Dict, List, Optional, Set, Tuple

import remora
from remora import _abi

ROOT = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else pathlib.Path(".")
KRILL = ROOT / "models" / "krill.remora"
SMALL = ROOT / "test" / "golden" / "pack" / "v1-plain.remora"
IDS = list(range(5, 45))
HOST = ("host_weights", "host_kv", "host_scratch", "host_other")


def folder_of_a_model(n_layers: int) -> Dict[str, bytes]:
    """The files of a small model as Hugging Face has them, without a tokenizer; its weights are drawn from four values, so they can be compressed."""
    config = {"model_type": "llama", "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": n_layers, "vocab_size": 64,
              "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-6,
              "hidden_act": "silu", "tie_word_embeddings": False, "rope_theta": 10000.0, "torch_dtype": "float32"}
    shapes = {"model.embed_tokens.weight": [64, 256], "model.norm.weight": [256], "lm_head.weight": [64, 256]}
    for i in range(n_layers):
        layer = f"model.layers.{i}."
        shapes.update({layer + f"self_attn.{x}_proj.weight": [rows, 256] for x, rows in zip("qkvo", (256, 128, 128, 256))})
        shapes.update({layer + f"mlp.{x}_proj.weight": [256, 256] for x in ("gate", "up", "down")})
        shapes.update({layer + f"{x}_layernorm.weight": [256] for x in ("input", "post_attention")})
    return files_of(config, shapes)


def folder_with_a_prediction_layer() -> Dict[str, bytes]:
    """The same for a model with latent attention, one layer, and one that predicts."""
    config = {"model_type": "youtu", "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1, "num_nextn_predict_layers": 1,
              "vocab_size": 64, "num_attention_heads": 4, "kv_lora_rank": 64, "qk_nope_head_dim": 32, "qk_rope_head_dim": 16,
              "v_head_dim": 32, "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "hidden_act": "silu",
              "tie_word_embeddings": False, "rope_theta": 10000.0, "torch_dtype": "float32"}
    shapes = {"model.embed_tokens.weight": [64, 256], "model.norm.weight": [256], "lm_head.weight": [64, 256]}
    layers = {"self_attn.q_proj": [192, 256], "self_attn.kv_a_proj_with_mqa": [80, 256], "self_attn.kv_a_layernorm": [64],
              "self_attn.kv_b_proj": [256, 64], "self_attn.o_proj": [256, 128], "mlp.gate_proj": [256, 256], "mlp.up_proj": [256, 256],
              "mlp.down_proj": [256, 256], "input_layernorm": [256], "post_attention_layernorm": [256]}
    predicting = {"enorm": [256], "hnorm": [256], "eh_proj": [256, 512], "shared_head.norm": [256]}
    for i, weights in enumerate((layers, {**layers, **predicting})):
        shapes.update({f"model.layers.{i}.{name}.weight": shape for name, shape in weights.items()})
    return files_of(config, shapes)


def files_of(config: Dict[str, Any], shapes: Dict[str, List[int]]) -> Dict[str, bytes]:
    numbers, header, data = random.Random(1), {}, b""
    for name, shape in shapes.items():
        values = array.array("f", (numbers.choice((-0.08, -0.02, 0.03, 0.1)) for _ in range(math.prod(shape)))).tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    return {"config.json": json.dumps(config).encode(), "model.safetensors": struct.pack("<Q", len(text)) + text + data}


FOLDER = folder_of_a_model(2)


def logits(model: remora.Model) -> List[float]:
    session = remora.Session(model)
    session.append(IDS)
    session.eval()
    return list(session.logits())


class Shelf(remora.Storage):
    """Files in memory, and who asked for what."""

    def __init__(self, files: Dict[str, bytes], name: Optional[str] = None) -> None:
        self.files = files
        self.name = name
        self.reads: List[Tuple[str, int, int]] = []

    def size(self, name: str) -> Optional[int]:
        return len(self.files[name]) if name in self.files else None

    def read(self, name: str, offset: int, size: int) -> memoryview:
        self.reads.append((name, offset, size))
        return memoryview(self.files[name])[offset:offset + size]


class Broken(Shelf):
    """One that fails in one of its methods."""

    def __init__(self, where: str, error: BaseException) -> None:
        super().__init__({"a.remora": SMALL.read_bytes()}, "a.remora")
        self.where = where
        self.error = error

    def size(self, name: str) -> Optional[int]:
        if self.where == "size":
            raise self.error
        return super().size(name)

    def read(self, name: str, offset: int, size: int) -> memoryview:
        if self.where == "read" or (self.where == "later" and len(self.reads) > 3):
            raise self.error
        return super().read(name, offset, size)


class Signals(Shelf):
    """One whose reader presses Ctrl-C, and goes on when the main thread has seen it, or never will."""

    def __init__(self, files: Dict[str, bytes], name: str, after: int) -> None:
        super().__init__(files, name)
        self.left = itertools.count(after, -1)
        self.cancel = remora.Cancel()

    def read(self, name: str, offset: int, size: int) -> memoryview:
        if next(self.left) == 0:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(5000):
                if self.cancel.is_set():
                    break
                time.sleep(0.001)
        return super().read(name, offset, size)


class Storages(unittest.TestCase):
    def test_a_model_is_the_same_from_a_storage(self) -> None:
        shelf = Shelf({"a.remora": SMALL.read_bytes()}, "a.remora")
        with remora.Model(shelf) as model:
            n = len(shelf.reads)
            self.assertEqual(logits(model), logits(remora.Model(SMALL)))
            self.assertEqual(model.info["fingerprint"], remora.Model(SMALL).info["fingerprint"])
        self.assertTrue(n and n == len(shelf.reads))  # nothing is read when the model is open

    def test_bytes_and_bytearrays_are_fine(self) -> None:
        class Other(Shelf):
            def read(self, name: str, offset: int, size: int) -> Any:
                return kind(self.files[name][offset:offset + size])
        for kind in (bytes, bytearray):
            remora.Model(Other({"a.remora": SMALL.read_bytes()}, "a.remora")).close()

    def test_what_it_raises_every_call_raises(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            calls: List[Any] = [remora.Model, remora.estimate, remora.verify, lambda s: remora.convert(s, folder + "/b")]
            for call in calls:
                for where in ("size", "read", "later") if call is remora.Model else ("size", "read"):
                    for error in (KeyError("mine"), KeyboardInterrupt("mine")):
                        with self.assertRaisesRegex(type(error), "mine"):
                            call(Broken(where, error))
            self.assertEqual(os.listdir(folder), [])

    def test_too_few_bytes_are_an_error(self) -> None:
        class Short(Shelf):
            def read(self, name: str, offset: int, size: int) -> memoryview:
                return super().read(name, offset, size - 1)
        with self.assertRaisesRegex(ValueError, r"a.remora: read\(\) gave \d+ bytes at 0, asked for were"):
            remora.Model(Short({"a.remora": SMALL.read_bytes()}, "a.remora"))

    def test_no_such_file(self) -> None:
        with self.assertRaises(remora.NotFound):
            remora.Model(Shelf({}, "a.remora"))
        with self.assertRaises(remora.NotFound):
            remora.Model(Shelf({"a.remora": SMALL.read_bytes()}))  # a folder without config.json

    def test_it_is_released(self) -> None:
        before = len(_abi._kept)
        shelf = Shelf({"a.remora": SMALL.read_bytes()}, "a.remora")
        model = remora.Model(shelf)
        self.assertEqual(len(_abi._kept), before + 1)
        model.close()
        remora.estimate(shelf)
        with self.assertRaises(KeyError):
            remora.estimate(Broken("read", KeyError("mine")))
        self.assertEqual(len(_abi._kept), before)

    def test_other_threads_run_while_it_reads(self) -> None:
        ran, lock = threading.Event(), threading.Lock()

        class Waits(Shelf):
            def read(self, name: str, offset: int, size: int) -> memoryview:
                with lock:
                    if not ran.is_set():
                        threading.Thread(target=ran.set).start()
                        ran.wait()
                return super().read(name, offset, size)
        remora.Model(Waits({"a.remora": SMALL.read_bytes()}, "a.remora")).close()
        self.assertTrue(ran.is_set())

    def test_ctrl_c_ends_opening(self) -> None:
        files = {"a.remora": KRILL.read_bytes()}
        whole = Shelf(files, "a.remora")
        remora.Model(whole).close()
        cut = Signals(files, "a.remora", after=len(whole.reads) // 3)
        with self.assertRaises(KeyboardInterrupt):
            remora.Model(cut, cancel=cut.cancel)
        self.assertLess(len(cut.reads), len(whole.reads))


class WithoutTokenizer(unittest.TestCase):
    def test_tokens_are_generated(self) -> None:
        with remora.Model(FOLDER) as model:
            session, other = remora.Session(model), remora.Session(model)
            session.append(IDS)
            other.append(IDS)
            want = []
            for _ in range(6):
                other.eval()
                want.append(other.top(1)[0].token)
                other.append(want[-1:])
            made = session.generate_tokens(max_tokens=6)
            self.assertEqual((next(made), len(session)), (want[0], len(IDS) + 1))  # the first one when it is there
            self.assertEqual([*made], want[1:])
            self.assertEqual(session.tokens(), IDS + want)
            with self.assertRaises(remora.Unsupported):
                next(session.generate_tokens(max_tokens=6, stop=["x"]))
            with self.assertRaises(remora.Unsupported):
                session.generate(max_tokens=6).text()

    def test_capacity_ends_it(self) -> None:
        with remora.Model(FOLDER) as model:
            session = remora.Session(model, capacity=len(IDS) + 3)
            session.append(IDS)
            self.assertEqual(len([*session.generate_tokens()]), 3)


class Memory(unittest.TestCase):
    def test_an_estimate_is_what_is_used(self) -> None:
        options: Any = {"capacity": 256, "chunk": 64, "kv_type": "f32"}
        said = remora.estimate(SMALL, 2, **options)
        with remora.Model(SMALL) as model:
            sessions = [remora.Session(model, **options) for _ in range(2)]
            for session in sessions:
                session.append([5] * 256)
                session.eval()
            used = model.memory()
        said_sum, used_sum = (sum(m[key] for key in HOST) for m in (said, used))
        self.assertTrue(used_sum <= said_sum <= 1.03 * used_sum, (used, said))
        self.assertGreaterEqual(said["host_kv"], 256 * 2 * said["kv_bytes_per_token"])
        self.assertLess(remora.estimate(SMALL, 1, capacity=64)["host_kv"], said["host_kv"])

    def test_an_estimate_knows_of_sessions_that_predict(self) -> None:
        files = folder_with_a_prediction_layer()
        said = [remora.estimate(files, 2, capacity=256, session_prediction=with_it) for with_it in (False, True)]
        with remora.Model(files) as model:
            self.assertEqual(model.info["n_prediction_layers"], 1)
            sessions = [remora.Session(model, capacity=256, prediction=True) for _ in range(2)]
            for session in sessions:
                session.append(IDS)
                self.assertEqual(len([*session.generate_tokens(max_tokens=200)]), 200)
            used = sum(model.memory()[key] for key in HOST)
        plain, predicting = (sum(each[key] for key in HOST) for each in said)
        self.assertTrue(plain < used <= predicting <= 1.03 * used, (plain, used, predicting))

    def test_an_estimate_says_what_opening_would(self) -> None:
        with self.assertRaises(remora.NotFound):
            remora.estimate(ROOT / "nothing")
        with self.assertRaises(remora.Unsupported):
            remora.estimate(SMALL, device="cuda:99", runtime=remora.Runtime(cuda_module=""))

    def test_a_ceiling_is_changed(self) -> None:
        with self.assertRaises(remora.OutOfMemory):
            remora.Model(SMALL, host_budget=4096)
        with remora.Model(SMALL) as model:
            self.assertTrue(model.set_budget(host=sum(model.memory()[key] for key in HOST) + 4096))
            with self.assertRaises(remora.OutOfMemory):
                remora.Session(model)
            with self.assertRaises(remora.OutOfMemory):
                model.set_budget(host=1)
            with self.assertRaises(remora.Unsupported):
                model.set_budget(device=1)
            self.assertTrue(model.set_budget())
            remora.Session(model).close()


class Packs(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "made.remora"

    def test_recipes(self) -> None:
        found = remora.recipes()
        self.assertEqual(list(found)[0], "keep")
        self.assertIn("rules", found["mixed-q4"])

    def test_a_pack_is_made_and_verified(self) -> None:
        seen: List[Tuple[int, int]] = []
        remora.convert(FOLDER, self.path, progress=lambda done, total: seen.append((done, total)))
        self.assertEqual(seen[-1][0], seen[-1][1])
        self.assertEqual(remora.verify(self.path), ("OK", "OK", True))
        self.assertEqual(logits(remora.Model(self.path)), logits(remora.Model(FOLDER)))

    def test_options_of_a_conversion(self) -> None:
        remora.convert(Shelf(FOLDER), self.path, "rules:\n- {match: '*', type: q8}\n", zstd_level=3, self_test=False)
        self.assertEqual(remora.verify(self.path), ("OK", "E_NOT_FOUND", False))
        self.assertIn("Q8_0", types(self.path))
        with remora.Model(self.path) as model:
            self.assertEqual(model.memory()["host_mapped"], 0)  # it is compressed
        remora.convert(FOLDER, self.path, "q8", self_test=False)
        with remora.Model(self.path) as model:
            self.assertGreater(model.memory()["host_mapped"], 0)
        with self.assertRaisesRegex(remora.NotFound, "mixed-q4"):
            remora.convert(FOLDER, self.path, "no such")
        with self.assertRaises(remora.RemoraError):
            remora.convert(FOLDER, self.path / "x")

    def test_weights_of_another_pack(self) -> None:
        remora.convert(FOLDER, self.path, "q8", self_test=False)
        was = types(self.path)
        remora.convert(FOLDER, self.path, "q4", base=self.path)
        self.assertEqual(types(self.path), was)  # nothing was left to be made
        with self.assertRaisesRegex(remora.Mismatch, "krill.remora"):
            remora.convert(FOLDER, self.path, base=KRILL)

    def test_damage_is_found(self) -> None:
        remora.convert(FOLDER, self.path)
        data = bytearray(self.path.read_bytes())
        data[len(data) // 2] ^= 1
        self.path.write_bytes(data)
        with self.assertRaises(remora.FormatError) as e:
            remora.verify(self.path)
        self.assertEqual(e.exception.report, ("E_FORMAT", "E_NOT_FOUND", False))
        with self.assertRaises(remora.Unsupported):
            remora.verify(FOLDER)

    def test_progress_ends_a_call(self) -> None:
        for call in (lambda told: remora.convert(FOLDER, self.path, progress=told), lambda told: remora.verify(SMALL, progress=told)):
            def wrong(done: int, total: int) -> None:
                raise KeyError("mine")
            with self.assertRaises(remora.Cancelled):
                call(lambda done, total: False)
            with self.assertRaisesRegex(KeyError, "mine"):
                call(wrong)
        self.assertFalse(self.path.exists())

    def test_cancel(self) -> None:
        cancel = remora.Cancel()
        cancel.set()
        with self.assertRaises(remora.Cancelled):
            remora.convert(FOLDER, self.path, cancel=cancel)
        with self.assertRaises(remora.Cancelled):
            remora.verify(SMALL, cancel=cancel)

    def test_ctrl_c_leaves_no_pack(self) -> None:
        """Nothing of Python is called here while the library works, so the signal has to end it by the cancel word."""
        def press() -> None:
            while not list(self.path.parent.iterdir()):
                pass
            os.kill(os.getpid(), signal.SIGINT)
        thread = threading.Thread(target=press)
        thread.start()
        with self.assertRaises(KeyboardInterrupt):
            remora.convert(FOLDER, self.path, zstd_level=19)
            thread.join()
        self.assertEqual(list(self.path.parent.iterdir()), [])


def types(path: pathlib.Path) -> Set[str]:
    """The types of a model's tensors."""
    with remora.Model(path, weights=False) as model:
        return {str(model.meta(key)).split()[0] for key in model.meta_keys() if key.startswith("tensor.")}


class Counting(unittest.TestCase):
    def test_routing(self) -> None:
        with remora.Model(KRILL) as model:
            logits(model)
            self.assertEqual(sum(model.routing(1)), 0)  # off at first
            model.routing_enable()
            logits(model)
            n = 4 * len(IDS)  # each token goes to four experts
            self.assertEqual([len(model.routing(i)) for i in range(1, 6)], [16] * 5)
            self.assertEqual([sum(model.routing(i, reset=i == 3)) for i in range(1, 6)], [n] * 5)
            model.routing_enable(False)
            logits(model)
            self.assertEqual([sum(model.routing(i)) for i in range(1, 6)], [n, n, 0, n, n])
            with self.assertRaises(remora.NotFound):
                model.routing(0)

    def test_importance(self) -> None:
        with remora.Model(KRILL, importance=True) as model:
            self.assertEqual(logits(model), logits(remora.Model(KRILL)))
            weights = {w.name: (i, w) for i, w in enumerate(model.importance())}
            i, w = weights["model.layers.3.self_attn.o_proj"]
            one = model.importance_sums(i)
            self.assertEqual((one.n_tokens, len(one.sums), w.n_matrices), (len(IDS), w.n_cols, 1))
            i, w = weights["model.layers.3.mlp.experts.down_proj"]
            experts = [model.importance_sums(i, k) for k in range(w.n_matrices)]
            self.assertEqual((len(experts), sum(e.n_tokens for e in experts)), (16, 4 * len(IDS)))
            before = list(one.sums)
            logits(model)
            self.assertEqual(list(one.sums), before)  # a copy
            self.assertTrue(all(now > then for now, then in zip(model.importance_sums(weights["model.layers.3.self_attn.o_proj"][0]).sums,
                                                                before)))
            with self.assertRaises(remora.ArgumentError):
                model.importance_sums(i, 16)
        self.assertEqual(remora.Model(SMALL).importance(), [])

    def test_a_file_of_importance(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            with remora.Model(FOLDER, importance=True) as model:
                session = remora.Session(model)
                session.append(IDS, want="all")
                session.eval()
                model.save_importance(folder / "imatrix")
                sums = model.importance_sums(0)
                first = model.importance()[0]
            data = (folder / "imatrix").read_bytes()
            size = struct.unpack("<Q", data[:8])[0]
            header = json.loads(data[8:8 + size])
            self.assertEqual(header["__metadata__"], {"format": "remora-imatrix-1", "tokens": str(len(IDS))})
            at = 8 + size + header[first.name]["data_offsets"][0]
            means = struct.unpack(f"<{first.n_cols}f", data[at:at + 4 * first.n_cols])
            self.assertTrue(all(abs(m - s / sums.n_tokens) <= 1e-6 * m for m, s in zip(means, sums.sums)))
            spans = sorted(e["data_offsets"] for key, e in header.items() if key != "__metadata__")
            self.assertEqual([a for a, _ in spans] + [len(data) - 8 - size], [0] + [b for _, b in spans])
            for out, importance in (("plain", None), ("weighed", folder / "imatrix")):
                remora.convert(FOLDER, folder / out, "q4", importance=importance)
            self.assertNotEqual((folder / "plain").read_bytes(), (folder / "weighed").read_bytes())
            with self.assertRaises(remora.NotFound):
                remora.convert(FOLDER, folder / "x", "q4", importance=folder / "nothing")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background has it ignored
    unittest.main()
