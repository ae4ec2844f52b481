// SPDX-License-Identifier: Apache-2.0
// The cases that all languages run (bindings/cases.json), and what the binding adds: layout, errors, handles, callbacks.
//
//     Tests.exe SOURCE_ROOT MODEL_WITH_A_PREDICTION_LAYER     prints "ok NAME" or "failed NAME: .." for each
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using Remora;
using Remora.Native;
using Map = System.Collections.Generic.Dictionary<string, object>;

static unsafe class Tests
{
    static string root;
    static Model model;
    static int bad;

    static int Value(string name) { return (int)typeof(Abi).GetField(name).GetValue(null); }

    static string NameOf(string prefix, int value)
    {
        return typeof(Abi).GetFields().First(f => f.Name.StartsWith(prefix, StringComparison.Ordinal) && f.IsLiteral && (int)f.GetValue(null) == value).Name;
    }

    static string Text(Map o, string key) { return o.ContainsKey(key) ? (string)o[key] : null; }
    static double Number(Map o, string key) { return o.ContainsKey(key) ? (double)o[key] : 0; }
    static List<string> Strings(Map o, string key) { return o.ContainsKey(key) ? ((List<object>)o[key]).Cast<string>().ToList() : new List<string>(); }
    static uint Flags(Map o, string key = "flags") { return (uint)Strings(o, key).Sum(name => Value(name)); }

    static Session SessionOf(Map c, int[] tokens)
    {
        var session = new Session(model, (uint)Number(c, "capacity"));
        session.Append(tokens);
        return session;
    }

    static Session Prompted(Map c)
    {
        var bos = !c.ContainsKey("prompt_flags") || Flags(c, "prompt_flags") == Abi.REMORA_TEXT_BOS;
        return SessionOf(c, model.Tokenize(Text(c, "prompt"), bos));
    }

    static Sampler SamplerOf(Map c, double seed)
    {
        var sampler = new Sampler(model, (ulong)seed);
        if (c.ContainsKey("stages"))
            foreach (Map stage in (List<object>)c["stages"])
                sampler.Add(Value(Text(stage, "kind")), Number(stage, "value"), (long)Number(stage, "count"));
        if (c.ContainsKey("constraint")) {
            var k = (Map)c["constraint"];
            sampler.Constrain(model, Value(Text(k, "kind")), Text(k, "source"), Strings(k, "choices"), Flags(k));
        }
        return sampler;
    }

    static void PutResult(Map want, Generation g, string text)
    {
        var info = g.Info;
        want["status"] = g.Status;
        want["tokens"] = g.Tokens;
        want["reason"] = NameOf("REMORA_REASON_", info.reason);
        if (info.reason == Abi.REMORA_REASON_STOP) want["stop"] = (int)info.stop;
        if (g.Message != "") want["message"] = g.Message;
        if (text != null) want["text"] = text;
    }

    static void GenerateAll(Session session, Sampler sampler, Map c, Map want, List<string> stop = null)
    {
        var keep = stop == null && (Flags(c) & Abi.REMORA_GEN_KEEP_STOP) != 0;
        var g = session.Generate(sampler, (ulong)Number(c, "max_tokens"), stop ?? Strings(c, "stop"), keep);
        var text = "";
        try {
            foreach (var piece in g) text += piece;
        } catch (RemoraException e) {
            g.Message = e.Message;
        }
        PutResult(want, g, text);
    }

    static void PutParts(Map want, AnswerReader reader)
    {
        want["parts"] = new Map { {"reasoning", reader.Reasoning}, {"content", reader.Content}, {"finish", NameOf("REMORA_FINISH_", reader.Finish)},
            {"calls", reader.Calls.Select(k => new Map { {"name", k[0]}, {"arguments", k[1]} }).ToList()} };
    }

    static void Run(string what, Map c, Map want)
    {
        switch (what) {
        case "open":
            using (var m = new Model(Path.Combine(root, Text(c, "path")), Flags(c))) {
                var i = m.Info;
                want["status"] = "OK"; want["n_layers"] = (int)i.n_layers; want["n_vocab"] = (int)i.n_vocab; want["n_hidden"] = (int)i.n_hidden;
                want["max_context"] = (int)i.max_context; want["has_tokenizer"] = (int)i.has_tokenizer; want["family"] = m.Family;
            }
            break;
        case "tokenize":
            var t = model.Tokenize(Text(c, "text"), (Flags(c) & Abi.REMORA_TEXT_BOS) != 0, (Flags(c) & Abi.REMORA_TEXT_SPECIAL) != 0);
            want["status"] = "OK"; want["tokens"] = t; want["text"] = model.Detokenize(t);
            break;
        case "append":
            SessionOf(c, ((List<object>)c["tokens"]).Select(x => (int)(double)x).ToArray());
            want["status"] = "OK";
            break;
        case "rows":
            var s = Prompted(c);
            Session.Eval(new[] {s});
            var top = s.Top((int)Number(c, "n_best"));
            want["status"] = "OK"; want["tokens"] = top.Select(p => p.token).ToList(); want["logits"] = top.Select(p => (double)p.logit).ToList();
            break;
        case "generate":
            GenerateAll(Prompted(c), SamplerOf(c, Number(c, "seed")), c, want);
            break;
        case "cancel":
            using (var cancel = new Cancel()) {
                cancel.Set();
                var g = Prompted(c).Generate(SamplerOf(c, 0), (ulong)Number(c, "max_tokens"), null, false, cancel);
                try { g.Step(); } catch (RemoraException e) { want["cancelled"] = e.Status; }
                cancel.Clear();
                g.Message = "";
                PutResult(want, g, string.Concat(g));
            }
            break;
        case "fork":
            var parent = Prompted(c);
            var forks = new List<object>();
            foreach (double seed in (List<object>)c["seeds"]) {
                var one = new Map();
                GenerateAll(parent.Fork(), SamplerOf(c, seed), c, one);
                forks.Add(one);
            }
            want["status"] = "OK"; want["forks"] = forks;
            break;
        case "fim":
            var hole = model.Fim(Text(c, "prefix"), Text(c, "suffix"), (Flags(c) & Abi.REMORA_FIM_HEAL) != 0, (ulong)Number(c, "max_prompt"));
            want["prompt"] = hole.Tokens; want["heal"] = Encoding.UTF8.GetString(hole.Heal);
            GenerateAll(SessionOf(c, hole.Tokens), SamplerOf(c, 0).Spell(hole.Heal), c, want, hole.Stop);
            break;
        case "chat":
            var chat = new Chat(model, Text(c, "format"));
            chat.AddRequest(Text(c, "request"));
            var prompt = chat.Prompt();
            want["prompt"] = prompt;
            var answer = SessionOf(c, prompt).Generate(SamplerOf(c, 0), (ulong)Number(c, "max_tokens"));
            foreach (var piece in answer) { }
            PutResult(want, answer, null);
            var read = chat.Reader();
            read.Push(answer.Tokens.ToArray());
            read.End(answer.Info.reason != Abi.REMORA_REASON_END_OF_TURN);
            PutParts(want, read);
            break;
        case "parse":
            var reader = new AnswerReader(model, Text(c, "format"), Flags(c) != 0);
            reader.PushText(Text(c, "text"));
            reader.End(false);
            want["status"] = "END";
            PutParts(want, reader);
            break;
        default: throw new Exception("no such case: " + what);
        }
    }

    static void Cases()
    {
        var cases = (List<object>)Json.Read(File.ReadAllText(Path.Combine(root, "bindings/cases.json")));
        var differ = new List<string>();
        foreach (Map c in cases) {
            var got = new Map();
            try {
                Run(Text(c, "do"), (Map)c["in"], got);
            } catch (RemoraException e) {
                got["status"] = e.Status; got["message"] = e.Message;
            }
            if (Text(c, "do") == "open") got.Remove("message");
            string a = Json.Write(got), b = Json.Write(c["want"]);
            if (a != b) differ.Add(c["name"] + " gives " + a + " wanted " + b);
        }
        Must(differ.Count == 0 && cases.Count > 40, string.Join("\n", differ));
    }

    static void Must(bool right, string what) { if (!right) throw new Exception(what); }

    static void Layout()
    {
        foreach (var row in Abi.Layout) {
            var type = (Type)row[0];
            Must(Marshal.SizeOf(type) == (int)row[1], type.Name);
            Must((int)Marshal.OffsetOf(type, (string)row[2]) == (int)row[3], type.Name + "." + row[2]);
        }
        foreach (var m in typeof(Abi).GetMethods().Where(m => m.Name.StartsWith("remora_", StringComparison.Ordinal)))
            Marshal.Prelink(m); // the library has it
    }

    static ulong CacheBytes()
    {
        var memory = new remora_memory { struct_size = (uint)sizeof(remora_memory) };
        Abi.remora_model_get_memory(model.H, &memory, null);
        return memory.host_kv;
    }

    static string Throws(Action f)
    {
        try { f(); } catch (Exception e) { return e.GetType().Name + ": " + e.Message; }
        return "nothing";
    }

    static void Handles()
    {
        var m = new Model(Path.Combine(root, "models/krill.remora"));
        var s = new Session(m);
        m.Dispose();
        m.Dispose();
        s.Append(new[] {5, 6});
        Must(Session.Eval(new[] {s}), "eval");
        Must(Throws(() => { var i = m.Info; }).StartsWith("ObjectDisposedException", StringComparison.Ordinal), "closed");
        var before = CacheBytes();
        var maker = new System.Threading.Thread(() => { for (var i = 0; i < 20; i++) new Session(model, 128); });
        maker.Start();
        maker.Join();
        var most = CacheBytes();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Must(most > before && CacheBytes() < before + (most - before) / 2, "the collector frees sessions"); // it may keep a few
        s.Dispose();
    }

    static void Callbacks()
    {
        var s = new Session(model, 128);
        s.Append(model.Tokenize("Once upon a time", true));
        Session.Eval(new[] {s});
        var best = s.Top(1)[0].token;
        var seen = 0;
        var sampler = new Sampler(model, 1).AddStage((remora_token_prob* c, ref int n) => {
            seen = n;
            GC.Collect();
            for (var i = 0; i < n; i++) if (c[i].token == best) { c[0] = c[i]; break; }
            n = 1;
        });
        GC.Collect();
        Must(sampler.Pick(s) == best && seen == 8192, "stage");
        var throwing = new Sampler(model, 1).AddStage((remora_token_prob* c, ref int n) => { throw new InvalidOperationException("mine"); });
        Must(Throws(() => throwing.Pick(s)) == "InvalidOperationException: mine", "pick");
        Must(Throws(() => s.Generate(throwing, 3).Step()) == "InvalidOperationException: mine", "generate");
    }

    static int[] Drafted(uint most, out ulong guessed)
    {
        using (var s = new Session(model, 256, prediction: true))
        using (var sampler = new Sampler(model, 1).Temperature(0.5)) {
            s.Append(model.Tokenize("red blue red blue red blue red blue", true));
            var g = s.Generate(sampler, 24, maxDrafts: most);
            foreach (var piece in g) { }
            guessed = s.Stats.drafts;
            return g.Tokens.ToArray();
        }
    }

    static void Drafts()
    {
        ulong none, some, pay;
        var plain = Drafted(0, out none);
        Must(plain.Length == 24 && none == 0, "without drafts");
        Must(plain.SequenceEqual(Drafted(8, out some)) && some > 0, "with drafts");
        Must(plain.SequenceEqual(Drafted(Session.AutoDrafts, out pay)), "with as many as pay");
    }

    static void SessionOptions()
    {
        using (var s = new Session(model, 64, 16, Abi.REMORA_KV_F32, true, true))
        using (var cancel = new Cancel()) {
            var o = s.Options;
            Must(o.capacity == 64 && o.chunk == 16 && o.kv_type == Abi.REMORA_KV_F32, "options");
            Must(o.flags == (Abi.REMORA_SESSION_PAGES_AS_NEEDED | Abi.REMORA_SESSION_PREDICTION), "flags");
            s.Append(Enumerable.Range(5, 40).ToArray());
            cancel.Set();
            Must(Throws(() => Session.Eval(new[] {s}, cancel: cancel)).StartsWith("RemoraException", StringComparison.Ordinal), "cancel");
            cancel.Clear();
            Must(!Session.Eval(new[] {s}, maxTokens: 16, cancel: cancel) && Session.Eval(new[] {s}), "eval goes on");
            s.Append(new[] {5});
            Must(!Session.Eval(new[] {s}, ahead: true) && Session.Eval(new[] {s}, maxDrafts: 3) && Session.Eval(new[] {s}, ahead: true),
                "what is ahead");
            s.Trim(3);
            Must(s.Info.committed + s.Info.pending == 3, "trim");
            cancel.Dispose();
            cancel.Dispose();
            Must(Throws(() => Session.Eval(new[] {s}, cancel: cancel)).StartsWith("ObjectDisposedException", StringComparison.Ordinal), "word");
        }
    }

    static void Prediction()
    {
        using (Session with = new Session(model, prediction: true), without = new Session(model))
            Must(with.Options.flags == Abi.REMORA_SESSION_PREDICTION && without.Options.flags == 0, "flags");
    }

    /// Another thread disposes of what a call uses, in the middle of the call, whose stage waits for it: freed is when the call has ended.
    static void DisposeDuringCalls()
    {
        var s = new Session(model, 1024);
        s.Append(model.Tokenize("Once upon a time", true));
        ulong before = CacheBytes(), during = 0;
        Sampler sampler = null;
        var cancel = new Cancel();
        sampler = new Sampler(model, 1).AddStage((remora_token_prob* c, ref int n) => {
            var other = new System.Threading.Thread(() => { s.Dispose(); sampler.Dispose(); cancel.Dispose(); });
            other.Start();
            other.Join();
            during = CacheBytes();
            n = 1;
        });
        var g = s.Generate(sampler, 1, cancel: cancel);
        g.Step();
        Must(g.Tokens.Count == 1 && during == before, "the session stays until the call has ended");
        Must(CacheBytes() < before, "and is freed then");
        Must(Throws(() => g.Step()).StartsWith("ObjectDisposedException", StringComparison.Ordinal), "the next call");
    }

    static WeakReference Forgotten(bool dispose)
    {
        var mine = new object();
        Sampler sampler = null;
        sampler = new Sampler(model, 1).AddStage((remora_token_prob* c, ref int n) => { GC.KeepAlive(mine); GC.KeepAlive(sampler); });
        if (dispose) sampler.Dispose();
        return new WeakReference(mine);
    }

    /// IL2CPP makes pointers of static methods with the attribute alone; the collector gets what they stood for.
    static void StaticCallbacks()
    {
        var all = typeof(Sampler).GetFields(System.Reflection.BindingFlags.Static | System.Reflection.BindingFlags.NonPublic)
            .Select(f => f.GetValue(null)).OfType<Delegate>()
            .Where(d => d.GetType().IsDefined(typeof(UnmanagedFunctionPointerAttribute), false)).ToList();
        Must(all.Select(d => d.Method).Distinct().Count() == 2, "two callbacks");
        foreach (var one in all)
            Must(one.Method.IsStatic && one.Target == null
                && one.Method.GetCustomAttributes(false).Any(a => a.GetType().Name == "MonoPInvokeCallbackAttribute"), one.Method.Name);
        var left = new List<WeakReference>();
        var maker = new System.Threading.Thread(() => { for (var i = 0; i < 20; i++) left.Add(Forgotten(i % 2 == 0)); });
        maker.Start();
        maker.Join();
        for (var i = 0; i < 3; i++) {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Must(left.Count(w => w.IsAlive) < 10, "the collector frees stages"); // it may keep a few
    }

    static void Test(string name, Action f)
    {
        try {
            f();
            Console.WriteLine("ok csharp " + name);
        } catch (Exception e) {
            bad++;
            Console.WriteLine("failed csharp " + name + ": " + e);
        }
    }

    static int Main(string[] arguments)
    {
        root = arguments[0];
        model = new Model(Path.Combine(root, "models/krill.remora"));
        Test("has the layout and the functions of the library", Layout);
        Test("gives what all languages give", Cases);
        Test("frees handles in any order", Handles);
        Test("gives the same tokens with and without drafts", Drafts);
        Test("makes, cuts and cancels sessions", SessionOptions);
        Test("makes sessions that predict", Prediction);
        Test("frees what a call uses when the call has ended", DisposeDuringCalls);
        Test("calls back by static methods alone", StaticCallbacks);
        Test("keeps callbacks alive and throws what they throw", Callbacks);
        return bad;
    }
}
