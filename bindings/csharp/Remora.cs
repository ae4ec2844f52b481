// SPDX-License-Identifier: Apache-2.0
// Remora for C#: models, sessions, samplers, constraints and chats as objects, generated text as IEnumerable<string>, errors as
// exceptions. C# 6 with unsafe code, for Mono, Unity and Godot. What is not here is in Remora.Native.Abi, generated from the ABI.
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Remora.Native;

namespace Remora
{
    /// An error of the library: the name of its status, "E_FULL", and its message.
    public sealed class RemoraException : Exception
    {
        public readonly string Status;
        public RemoraException(string status, string message) : base(message) { Status = status; }
    }

    /// Frees a handle of the library: by Dispose, or by the collector. A call that uses it ends first.
    public sealed class RemoraHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        public static readonly RemoraHandle None = new RemoraHandle(IntPtr.Zero, null); // NULL
        readonly Action<IntPtr> free;
        public RemoraHandle(IntPtr p, Action<IntPtr> free) : base(true) { handle = p; this.free = free; }
        protected override bool ReleaseHandle() { free(handle); return true; }
    }

    static unsafe class Call
    {
        public delegate int Filling<T>(T[] into, UIntPtr* n, remora_error* err);

        public static string Text(byte* p)
        {
            var n = 0;
            while (p[n] != 0) n++;
            return Text(p, n);
        }

        public static string Text(byte* p, int n)
        {
            var bytes = new byte[n];
            if (n > 0) Marshal.Copy((IntPtr)p, bytes, 0, n);
            return Encoding.UTF8.GetString(bytes);
        }

        public static string Name(int status) { return Text(Abi.remora_status_name(status)); }

        public static remora_error Error() { return new remora_error { struct_size = (uint)sizeof(remora_error) }; }

        public static RemoraException Failure(int status, remora_error* e)
        {
            return new RemoraException(Name(status), e->code == status ? Text(e->message) : "");
        }

        public static int Check(int status, remora_error* e)
        {
            if (status < 0) throw Failure(status, e);
            return status;
        }

        /// What a call fills an array with, asked again where there was no room.
        public static T[] Fill<T>(int cap, Filling<T> f)
        {
            while (true) {
                var into = new T[Math.Max(cap, 1)];
                UIntPtr n;
                var e = Error();
                var status = f(into, &n, &e);
                if (status == Abi.REMORA_E_BUFFER && (int)n > cap) { cap = (int)n; continue; }
                Check(status, &e);
                Array.Resize(ref into, (int)n);
                return into;
            }
        }
    }

    /// Memory of C for the time of a call: texts, and arrays of them.
    sealed unsafe class Pins : IDisposable
    {
        readonly List<IntPtr> all = new List<IntPtr>();

        public IntPtr Room(int bytes)
        {
            var p = Marshal.AllocHGlobal(Math.Max(bytes, 1));
            all.Add(p);
            return p;
        }

        public remora_text Text(string s)
        {
            var bytes = Encoding.UTF8.GetBytes(s ?? "");
            return new remora_text { ptr = (byte*)Bytes(bytes), len = (ulong)bytes.Length };
        }

        public IntPtr Bytes(byte[] bytes)
        {
            var p = Room(bytes.Length);
            Marshal.Copy(bytes, 0, p, bytes.Length);
            return p;
        }

        /// Terminated, or null.
        public byte* Name(string s) { return s == null ? null : (byte*)Bytes(Encoding.UTF8.GetBytes(s + "\0")); }

        public remora_text* Texts(IList<string> list)
        {
            if (list == null || list.Count == 0) return null;
            var p = (remora_text*)Room(list.Count * sizeof(remora_text));
            for (var i = 0; i < list.Count; i++) p[i] = Text(list[i]);
            return p;
        }

        public void Dispose()
        {
            foreach (var p in all) Marshal.FreeHGlobal(p);
            all.Clear();
        }

        ~Pins() { Dispose(); }
    }

    /// A handle's pointer where P/Invoke does not see the handle: in a struct, in an array, and for what a call lends.
    struct Hold : IDisposable
    {
        readonly RemoraHandle handle;
        public readonly IntPtr P;

        public Hold(Owner owner)
        {
            handle = owner == null ? null : owner.H;
            P = IntPtr.Zero;
            if (handle == null) return;
            var held = false;
            handle.DangerousAddRef(ref held);
            P = handle.DangerousGetHandle();
        }

        public void Dispose() { if (handle != null) handle.DangerousRelease(); }
    }

    /// An object that owns a handle of the library. Dispose may come while another thread's call uses it: the handle is freed when that call has ended.
    public abstract class Owner : IDisposable
    {
        internal RemoraHandle H;
        protected void Own(IntPtr p, Action<IntPtr> free) { H = new RemoraHandle(p, free); }
        public void Dispose() { if (H != null) H.Dispose(); }
    }

    /// A word that ends calls that were given it, from any thread.
    public sealed unsafe class Cancel : Owner
    {
        public Cancel()
        {
            Own(Marshal.AllocHGlobal(sizeof(int)), Marshal.FreeHGlobal);
            Clear();
        }

        void Write(int value) { using (var word = new Hold(this)) System.Threading.Volatile.Write(ref *(int*)word.P, value); }
        public void Set() { Write(1); }
        public void Clear() { Write(0); }
    }

    /// A hole's prompt: what generates with it begins with Heal and ends at Stop.
    public sealed class Hole
    {
        public int[] Tokens;
        public byte[] Heal;
        public List<string> Stop = new List<string>();
    }

    public sealed unsafe class Model : Owner
    {
        public Model(string path, uint flags = 0)
        {
            using (var pins = new Pins()) {
                var e = Call.Error();
                var source = new remora_source { struct_size = (uint)sizeof(remora_source), kind = Abi.REMORA_SOURCE_PATH, path = pins.Name(path) };
                var options = new remora_model_opts { struct_size = (uint)sizeof(remora_model_opts), flags = flags };
                IntPtr p;
                Call.Check(Abi.remora_model_open(RemoraHandle.None, &source, &options, &p, &e), &e);
                Own(p, Abi.remora_model_free);
            }
        }

        public remora_model_info Info
        {
            get
            {
                var e = Call.Error();
                var info = new remora_model_info { struct_size = (uint)sizeof(remora_model_info) };
                Call.Check(Abi.remora_model_get_info(H, &info, &e), &e);
                return info;
            }
        }

        public string Family { get { var info = Info; return Call.Text(info.family); } }

        public int[] Tokenize(string text, bool bos = false, bool special = false)
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            var flags = (uint)((bos ? Abi.REMORA_TEXT_BOS : 0) | (special ? Abi.REMORA_TEXT_SPECIAL : 0));
            return Call.Fill<int>(bytes.Length + 8, (into, n, e) => {
                fixed (byte* t = bytes) fixed (int* p = into)
                    return Abi.remora_tokenize(H, t, (UIntPtr)bytes.Length, flags, p, (UIntPtr)into.Length, n, e);
            });
        }

        public string Detokenize(int[] tokens)
        {
            var state = new remora_detok();
            var at = &state;
            var text = Call.Fill<byte>(256, (into, n, e) => {
                fixed (int* t = tokens) fixed (byte* p = into)
                    return Abi.remora_detok_push(H, at, t, (UIntPtr)tokens.Length, p, (UIntPtr)into.Length, n, e);
            });
            var rest = Call.Fill<byte>(16, (into, n, e) => {
                fixed (byte* p = into) return Abi.remora_detok_flush(H, at, p, (UIntPtr)into.Length, n, e);
            });
            return Encoding.UTF8.GetString(text) + Encoding.UTF8.GetString(rest);
        }

        public Hole Fim(string prefix, string suffix, bool heal = false, ulong maxTokens = 0)
        {
            byte[] before = Encoding.UTF8.GetBytes(prefix), behind = Encoding.UTF8.GetBytes(suffix);
            var o = new remora_fim_opts { struct_size = (uint)sizeof(remora_fim_opts), flags = heal ? (uint)Abi.REMORA_FIM_HEAL : 0, max_tokens = maxTokens };
            var info = new remora_fim_info { struct_size = (uint)sizeof(remora_fim_info) };
            remora_fim_opts* po = &o;
            remora_fim_info* pi = &info;
            var hole = new Hole();
            using (new Hold(this)) { // whose the markers are
                hole.Tokens = Call.Fill<int>(1024, (into, n, e) => {
                    fixed (byte* a = before) fixed (byte* b = behind) fixed (int* p = into)
                        return Abi.remora_fim(H, a, (UIntPtr)before.Length, b, (UIntPtr)behind.Length, po, p, (UIntPtr)into.Length, n, pi, e);
                });
                hole.Heal = new byte[info.n_heal];
                if (info.n_heal > 0) Marshal.Copy((IntPtr)info.heal, hole.Heal, 0, (int)info.n_heal);
                remora_text marker;
                for (uint i = 0; Abi.remora_fim_stop(H, i, &marker, null) >= 0; i++) hole.Stop.Add(Call.Text(marker.ptr, (int)marker.len));
            }
            return hole;
        }
    }

    public sealed unsafe class Session : Owner
    {
        public readonly Model Model;

        /// maxDrafts: the session chooses at each token how many drafts pay.
        public const uint AutoDrafts = Abi.REMORA_DRAFTS_AUTO;

        /// kvType: Abi.REMORA_KV_*. prediction: guess with the model's prediction layer too, where it has one.
        public Session(Model model, uint capacity = 0, uint chunk = 0, int kvType = 0, bool pagesAsNeeded = false, bool prediction = false)
        {
            var e = Call.Error();
            var flags = (pagesAsNeeded ? Abi.REMORA_SESSION_PAGES_AS_NEEDED : 0) | (prediction ? Abi.REMORA_SESSION_PREDICTION : 0);
            var o = new remora_session_opts { struct_size = (uint)sizeof(remora_session_opts), flags = (uint)flags, capacity = capacity,
                chunk = chunk, kv_type = kvType };
            IntPtr p;
            Call.Check(Abi.remora_session_create(model.H, &o, &p, &e), &e);
            Own(p, Abi.remora_session_free);
            Model = model;
        }

        Session(Model model, IntPtr p) { Model = model; Own(p, Abi.remora_session_free); }

        public Session Fork()
        {
            var e = Call.Error();
            IntPtr p;
            Call.Check(Abi.remora_session_fork(H, &p, &e), &e);
            return new Session(Model, p);
        }

        public void Append(int[] tokens)
        {
            var e = Call.Error();
            var some = tokens.Length > 0 ? tokens : new int[1];
            fixed (int* t = some) Call.Check(Abi.remora_session_append(H, t, (UIntPtr)tokens.Length, (uint)Abi.REMORA_WANT_LAST, &e), &e);
        }

        /// Make the timeline equal to these tokens; how many of them were in the cache.
        public int Sync(int[] tokens)
        {
            var e = Call.Error();
            UIntPtr reused;
            fixed (int* t = tokens) Call.Check(Abi.remora_session_sync(H, t, (UIntPtr)tokens.Length, (uint)Abi.REMORA_WANT_LAST, &reused, &e), &e);
            return (int)reused;
        }

        /// Keep the first tokens of the timeline.
        public void Trim(ulong keep)
        {
            var e = Call.Error();
            Call.Check(Abi.remora_session_trim(H, keep, &e), &e);
        }

        /// The options that it has: of defaults the values.
        public remora_session_opts Options
        {
            get
            {
                var e = Call.Error();
                var o = new remora_session_opts { struct_size = (uint)sizeof(remora_session_opts) };
                Call.Check(Abi.remora_session_get_options(H, &o, &e), &e);
                return o;
            }
        }

        public remora_session_info Info
        {
            get
            {
                var e = Call.Error();
                var info = new remora_session_info { struct_size = (uint)sizeof(remora_session_info) };
                Call.Check(Abi.remora_session_get_info(H, &info, &e), &e);
                return info;
            }
        }

        public remora_stats Stats
        {
            get
            {
                var e = Call.Error();
                var stats = new remora_stats { struct_size = (uint)sizeof(remora_stats) };
                Call.Check(Abi.remora_session_get_stats(H, &stats, &e), &e);
                return stats;
            }
        }

        /// Evaluate what is pending in several sessions; false where budgetUs or maxTokens is used up. maxDrafts: most tokens
        /// that are guessed behind each session's last one. ahead: take what was guessed right and evaluate nothing; false where
        /// something is pending still.
        public static bool Eval(IList<Session> sessions, long budgetUs = 0, ulong maxTokens = 0, Cancel cancel = null,
            uint maxDrafts = 0, bool ahead = false)
        {
            var e = Call.Error();
            var held = new List<Hold>();
            try {
                var all = new IntPtr[Math.Max(sessions.Count, 1)];
                for (var i = 0; i < sessions.Count; i++) {
                    held.Add(new Hold(sessions[i]));
                    all[i] = held[i].P;
                }
                held.Add(new Hold(cancel));
                var o = new remora_eval_opts { struct_size = (uint)sizeof(remora_eval_opts), budget_us = budgetUs, max_tokens = maxTokens,
                    max_drafts = maxDrafts, flags = ahead ? (uint)Abi.REMORA_EVAL_AHEAD : 0, cancel = (int*)held[sessions.Count].P };
                fixed (IntPtr* p = all) return Call.Check(Abi.remora_eval(p, (UIntPtr)sessions.Count, &o, &e), &e) != Abi.REMORA_MORE;
            } finally {
                foreach (var one in held) one.Dispose();
            }
        }

        /// The n most probable tokens of an output row, best first.
        public remora_token_prob[] Top(int n, uint row = 0)
        {
            return Call.Fill<remora_token_prob>(n, (into, count, e) => {
                fixed (remora_token_prob* p = into) return Abi.remora_session_top(H, row, p, (UIntPtr)n, count, e);
            });
        }

        /// maxDrafts: most tokens that are guessed and evaluated together, at most 30, or AutoDrafts. Tokens are the same.
        public Generation Generate(Sampler sampler, ulong maxTokens = 0, IList<string> stop = null, bool keepStop = false, Cancel cancel = null,
            uint maxDrafts = 0)
        {
            return new Generation(this, sampler, maxTokens, stop, keepStop, cancel, maxDrafts);
        }
    }

    /// Text as it is generated: foreach over it, or Step() once a frame.
    public sealed unsafe class Generation : IEnumerable<string>
    {
        const int Room = 512, Most = 64;
        readonly Session session;
        readonly Sampler sampler;
        readonly Cancel cancel;
        readonly Pins pins = new Pins();
        readonly uint flags;
        remora_gen_opts o;
        public readonly List<int> Tokens = new List<int>();
        public string Status = "MORE", Message = "";
        public bool Done;

        internal Generation(Session session, Sampler sampler, ulong maxTokens, IList<string> stop, bool keepStop, Cancel cancel, uint maxDrafts)
        {
            this.session = session;
            this.sampler = sampler;
            this.cancel = cancel;
            flags = keepStop ? (uint)Abi.REMORA_GEN_KEEP_STOP : 0;
            o = new remora_gen_opts { struct_size = (uint)sizeof(remora_gen_opts), flags = flags | (uint)Abi.REMORA_GEN_NEW, max_tokens = maxTokens,
                stop = pins.Texts(stop), n_stop = stop == null ? 0 : (ulong)stop.Count, max_drafts = maxDrafts };
        }

        /// One call of the library, of at most so many microseconds: its text, which may be empty.
        public string Step(long budgetUs = 0)
        {
            var e = Call.Error();
            var text = stackalloc byte[Room];
            var made = stackalloc int[Most];
            UIntPtr n = UIntPtr.Zero, count = UIntPtr.Zero;
            o.budget_us = budgetUs;
            int status;
            using (var word = new Hold(cancel)) {
                o.cancel = (int*)word.P;
                fixed (remora_gen_opts* p = &o)
                    status = Abi.remora_generate_text(session.H, sampler.H, p, text, (UIntPtr)Room, &n, made, (UIntPtr)Most, &count, &e);
            }
            GC.KeepAlive(this); // and with it the stop strings and the sampler's stages
            sampler.Rethrow();
            if (status >= 0 || (int)count > 0 || status == Abi.REMORA_E_FULL) o.flags = flags;
            for (var i = 0; i < (int)count; i++) Tokens.Add(made[i]);
            Status = Call.Name(status);
            Done = status == Abi.REMORA_END || status == Abi.REMORA_E_FULL;
            if (status < 0) {
                var failure = Call.Failure(status, &e);
                Message = failure.Message;
                if (!Done) throw failure;
            }
            return Call.Text(text, (int)n);
        }

        public IEnumerator<string> GetEnumerator()
        {
            while (!Done) {
                var piece = Step();
                if (piece.Length > 0) yield return piece;
            }
        }

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() { return GetEnumerator(); }

        public remora_generation_info Info
        {
            get
            {
                var e = Call.Error();
                var info = new remora_generation_info { struct_size = (uint)sizeof(remora_generation_info) };
                Call.Check(Abi.remora_session_get_generation(session.H, &info, &e), &e);
                return info;
            }
        }
    }

    /// Says to IL2CPP, which knows it by its name, that C calls the method.
    [AttributeUsage(AttributeTargets.Method)]
    sealed class MonoPInvokeCallbackAttribute : Attribute
    {
        public MonoPInvokeCallbackAttribute(Type type) { }
    }

    public sealed unsafe class Sampler : Owner
    {
        public delegate void Stage(remora_token_prob* candidates, ref int n);
        /// A stage as the library knows it: its `user` is a weak handle to this, which lives as long as the sampler.
        sealed class Called
        {
            public Stage F;
            public Exception Raised;
        }

        static readonly remora_stage_fn pick = Run;
        static readonly remora_stage_release end = Release;
        readonly List<Called> stages = new List<Called>();

        public Sampler(Model model, ulong seed = 0)
        {
            var e = Call.Error();
            IntPtr p;
            Call.Check(Abi.remora_sampler_create(model.H, seed, &p, &e), &e);
            Own(p, Abi.remora_sampler_free);
        }

        public Sampler Add(int kind, double value = 0, long count = 0)
        {
            var e = Call.Error();
            var stage = new remora_stage { struct_size = (uint)sizeof(remora_stage), kind = kind, value = value, count = count };
            Call.Check(Abi.remora_sampler_add(H, &stage, &e), &e);
            return this;
        }

        public Sampler Temperature(double value) { return Add(Abi.REMORA_STAGE_TEMPERATURE, value); }

        [MonoPInvokeCallback(typeof(remora_stage_fn))]
        static int Run(IntPtr user, remora_token_prob* candidates, UIntPtr* n)
        {
            var called = (Called)GCHandle.FromIntPtr(user).Target;
            if (called == null) return Abi.REMORA_E_CALLBACK; // a clone that the program has made goes on without the sampler
            try {
                var left = (int)*n;
                called.F(candidates, ref left);
                *n = (UIntPtr)left;
                return Abi.REMORA_OK;
            } catch (Exception x) {
                called.Raised = x;
                return Abi.REMORA_E_CALLBACK;
            }
        }

        [MonoPInvokeCallback(typeof(remora_stage_release))]
        static void Release(IntPtr user) { GCHandle.FromIntPtr(user).Free(); }

        /// A stage of the program. What it throws, the call that picks throws.
        public Sampler AddStage(Stage f)
        {
            var e = Call.Error();
            using (new Hold(this)) {
                var called = new Called { F = f };
                var stage = new remora_stage { struct_size = (uint)sizeof(remora_stage), kind = Abi.REMORA_STAGE_CALLBACK,
                    user = GCHandle.ToIntPtr(GCHandle.Alloc(called, GCHandleType.Weak)), fn = Marshal.GetFunctionPointerForDelegate(pick),
                    release = Marshal.GetFunctionPointerForDelegate(end) };
                stages.Add(called);
                Call.Check(Abi.remora_sampler_add(H, &stage, &e), &e);
            }
            return this;
        }

        internal void Rethrow()
        {
            foreach (var called in stages) {
                var x = called.Raised;
                called.Raised = null;
                if (x != null) throw x;
            }
        }

        public Sampler Spell(byte[] bytes)
        {
            var e = Call.Error();
            fixed (byte* p = bytes.Length > 0 ? bytes : new byte[1]) Call.Check(Abi.remora_sampler_spell(H, p, (UIntPtr)bytes.Length, &e), &e);
            return this;
        }

        /// Bound what it picks. source: of all kinds but CHOICE, which has choices.
        public Sampler Constrain(Model model, int kind, string source, IList<string> choices = null, uint flags = 0)
        {
            using (var pins = new Pins()) {
                var e = Call.Error();
                var o = new remora_constraint_opts { struct_size = (uint)sizeof(remora_constraint_opts), kind = kind, source = pins.Text(source), flags = flags,
                    choices = pins.Texts(choices), n_choices = choices == null ? 0 : (ulong)choices.Count };
                IntPtr p;
                Call.Check(Abi.remora_constraint_create(model.H, &o, &p, &e), &e);
                using (var bound = new RemoraHandle(p, Abi.remora_constraint_free))
                    Call.Check(Abi.remora_sampler_constrain(H, bound, &e), &e);
                return this;
            }
        }

        public int Pick(Session session, uint row = 0)
        {
            var e = Call.Error();
            int token;
            var status = Abi.remora_sampler_pick(H, session.H, row, &token, &e);
            Rethrow();
            Call.Check(status, &e);
            return token;
        }
    }

    /// Reads an answer: its parts as they grow.
    public sealed unsafe class AnswerReader : Owner
    {
        public string Reasoning = "", Content = "";
        public int Finish;
        public readonly List<string[]> Calls = new List<string[]>(); // name, arguments

        internal AnswerReader(Model model, string format, Chat chat, int begin, bool calls)
        {
            using (var pins = new Pins())
            using (var held = new Hold(chat)) {
                var e = Call.Error();
                var o = new remora_chat_parse_opts { struct_size = (uint)sizeof(remora_chat_parse_opts), format = pins.Name(format), begin = begin,
                    flags = calls ? (uint)Abi.REMORA_CHAT_PARSE_CALLS : 0, chat = held.P };
                IntPtr p;
                Call.Check(Abi.remora_chat_parse_create(model.H, &o, &p, &e), &e);
                Own(p, Abi.remora_chat_parse_free);
            }
        }

        public AnswerReader(Model model, string format, bool calls) : this(model, format, null, 0, calls) { }

        void Take(remora_chat_event* x)
        {
            var text = Call.Text(x->text.ptr, (int)x->text.len);
            if (x->kind == Abi.REMORA_PART_REASONING) Reasoning += text;
            if (x->kind == Abi.REMORA_PART_CONTENT) Content += text;
            if (x->kind == Abi.REMORA_PART_CALL) Calls.Add(new[] {text, ""});
            if (x->kind == Abi.REMORA_PART_ARGUMENTS) Calls[(int)x->call][1] += text;
            if (x->kind == Abi.REMORA_PART_END) Finish = x->finish;
        }

        public void Push(int[] tokens)
        {
            var e = Call.Error();
            var x = new remora_chat_event { struct_size = (uint)sizeof(remora_chat_event) };
            var at = 0;
            UIntPtr used;
            using (new Hold(this)) // whose the text of events is
            fixed (int* t = tokens.Length > 0 ? tokens : new int[1])
                while (Call.Check(Abi.remora_chat_parse_next(H, t + at, (UIntPtr)(tokens.Length - at), &used, &x, &e), &e) == Abi.REMORA_MORE) {
                    at += (int)used;
                    Take(&x);
                }
        }

        public void PushText(string text)
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            var e = Call.Error();
            var x = new remora_chat_event { struct_size = (uint)sizeof(remora_chat_event) };
            var at = 0;
            UIntPtr used;
            using (new Hold(this))
            fixed (byte* t = bytes)
                while (Call.Check(Abi.remora_chat_parse_text(H, t + at, (UIntPtr)(bytes.Length - at), &used, &x, &e), &e) == Abi.REMORA_MORE) {
                    at += (int)used;
                    Take(&x);
                }
        }

        /// The end. cut: the answer did not end by itself.
        public void End(bool cut)
        {
            var e = Call.Error();
            var x = new remora_chat_event { struct_size = (uint)sizeof(remora_chat_event) };
            int status;
            using (new Hold(this))
                do {
                    status = Call.Check(Abi.remora_chat_parse_end(H, cut ? 1 : 0, &x, &e), &e);
                    Take(&x);
                } while (status == Abi.REMORA_MORE);
        }
    }

    public sealed unsafe class Chat : Owner
    {
        readonly Model model;
        remora_prompt_info info;

        public Chat(Model model, string format = null)
        {
            using (var pins = new Pins()) {
                var e = Call.Error();
                var o = new remora_chat_opts { struct_size = (uint)sizeof(remora_chat_opts), format = pins.Name(format) };
                IntPtr p;
                Call.Check(Abi.remora_chat_create(model.H, &o, &p, &e), &e);
                Own(p, Abi.remora_chat_free);
                this.model = model;
            }
        }

        public void Add(int role, string text)
        {
            using (var pins = new Pins()) {
                var e = Call.Error();
                var turn = new remora_turn { struct_size = (uint)sizeof(remora_turn), role = role, text = pins.Text(text) };
                Call.Check(Abi.remora_chat_add(H, &turn, &e), &e);
            }
        }

        /// A request of OpenAI's API, as JSON.
        public void AddRequest(string json)
        {
            var bytes = Encoding.UTF8.GetBytes(json);
            var e = Call.Error();
            fixed (byte* p = bytes) Call.Check(Abi.remora_chat_add_json(H, p, (UIntPtr)bytes.Length, &e), &e);
        }

        public int[] Prompt()
        {
            info = new remora_prompt_info { struct_size = (uint)sizeof(remora_prompt_info) };
            return Call.Fill<int>(1024, (into, n, e) => {
                fixed (int* p = into) fixed (remora_prompt_info* i = &info)
                    return Abi.remora_chat_prompt(H, null, p, (UIntPtr)into.Length, n, i, e);
            });
        }

        /// Reads the answer to the prompt that was made last.
        public AnswerReader Reader() { return new AnswerReader(model, null, this, info.begin, info.calls != 0); }
    }
}
