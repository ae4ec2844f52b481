-- SPDX-License-Identifier: Apache-2.0
-- What the binding adds to the library: errors, handles and the collector, iteration, callbacks.
--
--     test_binding.lua SOURCE_ROOT
local root = arg[1]
local remora = require "remora"
local c = require "remora.c"
local check = require "check"
local krill = root .. "/models/krill.remora"
local model = remora.open(krill)
local tests = {}

local function story(prompt)
    local session = model:session {capacity = 256}
    session:append_text(prompt or "Once upon a time")
    return session
end

local best = story():generate(nil, {max_tokens = 24}):text()

local function collect()
    for _ = 1, 4 do collectgarbage() end
end

local function bytes_of(path)
    local f = assert(io.open(path, "rb"))
    local s = f:read("*a")
    f:close()
    return s
end

-- ---- errors

function tests.errors_have_a_status_and_a_message()
    local e = check.throws("E_NOT_FOUND", "nothing.remora", remora.open, root .. "/models/nothing.remora")
    assert(remora.is_error(e) and remora.is_error(e, "E_NOT_FOUND") and not remora.is_error(e, "E_IO"))
    assert(tostring(e):find("^E_NOT_FOUND: ") and e.os_code)
    check.throws("E_ARG", "8192", function() story():append {8192} end)
    assert(not remora.is_error("E_ARG") and not remora.is_error({status = "E_ARG"}))
end

function tests.a_word_that_is_none_and_an_option_that_is_none()
    check.throws(nil, "f64 is none of bf16, int8, f32", model.session, model, {kv_type = "f64"})
    check.throws(nil, "a session has no option capcity", model.session, model, {capcity = 3})
    check.throws(nil, "open has no option thread", remora.open, krill, {thread = 1})
    check.throws(nil, "one is none of temperature", function() model:sampler():stage("one") end)
end

-- ---- handles

function tests.handles_close_in_any_order()
    local m = remora.open(krill)
    local s, p = m:session(), m:greedy()
    m:close()
    m:close()
    s:append {5, 6}
    s:eval()
    p:pick(s)
    check.throws(nil, "this model is closed", m.info, m)
    s:close()
    check.throws(nil, "this session is closed", s.info, s)
    check.throws(nil, "this session is closed", p.pick, p, s, 0)
    p:close()
    assert(tostring(p) == "sampler (closed)")
end

function tests.the_collector_frees_what_nobody_holds()
    collect()
    local before = model:memory().host_kv
    for _ = 1, 20 do model:session {capacity = 256} end
    collect()
    check.equal(model:memory().host_kv, before)
end

function tests.what_a_call_uses_is_not_collected()
    for _ = 1, 5 do
        local g = story():generate(model:sampler(1):callback(function() collect() end):temperature(0),
            {max_tokens = 6, stop = {("n"):rep(3) .. "x", ("m"):rep(4)}, cancel = remora.cancel()})
        collect()
        assert(best:find(g:text(), 1, true) == 1)
    end
end

function tests.another_state_uses_the_same_session()
    local s = story()
    local other = remora.session_at(s:address())
    assert(other.model:info().n_layers == model:info().n_layers)
    other:eval()
    check.equal(s:info().pending, 0)
    other:close()
    check.equal(s:generate(nil, {max_tokens = 24}):text(), best)
    local cancel = remora.cancel()
    remora.cancel_at(cancel:address()):set()
    assert(cancel:is_set())
end

-- ---- text and tokens

function tests.text_comes_in_pieces_and_as_tokens()
    local pieces = {}
    for piece in story():generate(nil, {max_tokens = 24}) do pieces[#pieces + 1] = piece end
    assert(#pieces > 5)
    check.equal(table.concat(pieces), best)
    local tokens = {}
    for token in story():generate_tokens(nil, {max_tokens = 24}) do tokens[#tokens + 1] = token end
    check.equal(model:detokenize(tokens), best)
    check.equal(#tokens, 24)
end

function tests.a_budget_cuts_and_changes_nothing()
    local s, calls, text = story(), 0, ""
    while not s:eval {budget_us = 1} do calls = calls + 1 end
    local g = s:generate(nil, {max_tokens = 24, budget_us = 50})
    while not g.done do
        calls, text = calls + 1, text .. g:step()
    end
    assert(calls > 24, calls)
    check.equal(text, best)
end

function tests.a_cancel_keeps_what_was_done()
    local s, cancel = story(), remora.cancel()
    local g = s:generate(nil, {max_tokens = 24, cancel = cancel})
    local text = g()
    cancel:set()
    check.throws("E_CANCELLED", "", g.step, g)
    check.throws("E_CANCELLED", "", s.eval, s, {cancel = cancel})
    cancel:clear()
    check.equal(text .. g:text(), best)
end

function tests.probabilities_and_rows()
    local s = story()
    local g = s:generate(nil, {max_tokens = 3, n_best = 2})
    g:text()
    check.equal({#g.probs, #g.probs[1].best}, {3, 2})
    check.equal(g.probs[1].token, g.probs[1].best[1].token)
    s:trim(0)
    s:append({488, 2359}, {want = "all", hidden = true})
    s:eval()
    check.equal({#s:logits(0), #s:hidden(1), s:info().n_rows}, {8192, 512, 2})
    local top = s:top(1)[1]
    check.equal(s:logprob(top.token), top.logprob)
    check.equal(model:greedy():pick_from(s:logits()), top.token)
    check.equal(model:greedy():pick(s), top.token)
    check.throws("E_NOT_FOUND", "row", s.logits, s, 7)
    check.equal(s:tokens(), {488, 2359})
    check.equal(s:sync {488, 5}, 1)
end

function tests.drafts_change_no_text()
    local s = story("one two three one two three one two three one two")
    local plain = s:fork():generate(nil, {max_tokens = 20}):text()
    local g = s:generate(nil, {max_tokens = 20, max_drafts = 8})
    check.equal(g:text(), plain)
    assert(s:stats().drafts > 0)
    local auto = story("one two three one two three one two three one two")
    check.equal(auto:generate(nil, {max_tokens = 20, max_drafts = "auto"}):text(), plain)
end

function tests.several_sessions_at_once()
    local minds = {story("A"), story("The cat and the dog"), story("Once")}
    assert(remora.eval(minds))
    for _, s in ipairs(minds) do check.equal(s:info().pending, 0) end
    assert(remora.eval {})
    for _, s in ipairs(minds) do s:append({5}) end
    check.equal(remora.eval(minds, {ahead = true, max_drafts = "auto"}), false)
    assert(remora.eval(minds, {max_drafts = 2}))
    assert(remora.eval(minds, {ahead = true}))
    local o = minds[1]:options()
    check.equal({o.kv_type, o.capacity}, {"bf16", 256})
end

-- ---- samplers

function tests.samplers_clone_reset_and_roll_back()
    local p = model:sampler(7):top_k(20):top_p(0.9):min_p(0.01):repetition(1.1, 32):frequency(0.1):presence(0.1):temperature(0.8):ban(5)
    local s = story()
    local one = s:fork():generate(p:clone(), {max_tokens = 8}):text()
    check.equal(s:fork():generate(p, {max_tokens = 8}):text(), one)
    p:reset(7)
    check.equal(s:fork():generate(p, {max_tokens = 8}):text(), one)
    p:accept(30)
    p:rollback(1)
    check.throws("E_ARG", "", p.rollback, p, 100000)
    p:bias(21, 1.5):constrain(model:constraint("regex", " a+")):constrain(nil)
end

function tests.a_stage_of_the_program()
    local seen
    local p = model:sampler(1):callback(function(candidates)
        seen = candidates.n
        for i = 1, candidates.n do
            local token, logit, logprob = candidates:get(i)
            assert(logit and logprob <= 0)
            if token ~= 660 then candidates:set(i, -math.huge) end
        end
    end)
    local s = story()
    s:eval()
    collect()
    check.equal(p:pick(s), 660)
    check.equal(seen, 8192)
    local clone = p:clone()
    p:close()
    collect()
    check.equal(clone:pick(s), 660)
end

function tests.callbacks_throw_and_are_let_go()
    collect()
    local before = c.n_kept()
    local s = story()
    do
        local p = model:sampler(1):callback(function() error {mine = true} end)
        local ok, e = pcall(s.generate(s, p, {max_tokens = 3}))
        check.equal({ok, e}, {false, {mine = true}})
        local picked, message = pcall(p.pick, p, s)
        check.equal({picked, message}, {false, {mine = true}})
        check.equal(c.n_kept(), before + 1)
        p:close()
    end
    check.equal(c.n_kept(), before)
    do
        local kept = model:sampler(1):callback(print)
        check.equal(c.n_kept(), before + 1)
        kept = nil -- luacheck: ignore
    end
    collect()
    check.equal(c.n_kept(), before)
end

-- A callback of a generation forks, which is legal as it does not return in the child: there the session is in use for ever.
-- Lua 5.4 has no way to fork.
local has_ffi, ffi = pcall(require, "ffi")
if has_ffi then
    ffi.cdef [[int fork(void); int waitpid(int pid, int *status, int options); unsigned alarm(unsigned s); void _exit(int code);]]
    function tests.a_child_of_fork_goes_on_with_what_was_not_in_use()
        local used, other, status = story(), story(), ffi.new("int[1]", -1)
        local function wrong()
            for _, call in ipairs {used.info, function(s) s:append {5} end} do
                local ok, e = pcall(call, used)
                if ok or not remora.is_error(e, "E_BUSY") then return 1 end
            end
            used:close()
            return other:generate(nil, {max_tokens = 24}):text() == best and 0 or 2
        end
        local p = model:sampler(1):callback(function()
            local pid = ffi.C.fork()
            if pid == 0 then
                ffi.C.alarm(120)
                local ok, code = pcall(wrong)
                ffi.C._exit(ok and code or 3)
            end
            ffi.C.waitpid(pid, status, 0)
        end)
        used:generate(p, {max_tokens = 1}):text()
        check.equal(status[0], 0)
        check.equal(used:info().pending, 1)
    end
end

function tests.a_coroutine_picks()
    local p = model:sampler(1):callback(function(candidates) candidates:set(1, 1) end):temperature(0)
    local s = story()
    local generate = coroutine.wrap(function()
        for piece in s:generate(p, {max_tokens = 5}) do coroutine.yield(piece) end
    end)
    assert(generate() and generate())
    collect()
    assert(generate())
end

-- ---- models and files

function tests.progress_is_told_and_may_stop()
    local calls, last = 0, 0
    remora.open(krill, {no_mmap = true, progress = function(done, total)
        calls, last = calls + 1, done / total
    end}):close()
    assert(calls > 0 and last == 1)
    check.throws("E_CANCELLED", "", remora.open, krill, {no_mmap = true, progress = function() return 1 end})
    local e = select(2, pcall(remora.open, krill, {no_mmap = true, progress = function() error("mine", 0) end}))
    check.equal(e, "mine")
end

function tests.a_model_from_memory_lives_as_long_as_its_users()
    collect()
    local before = c.n_kept()
    local m = remora.open {["krill.remora"] = bytes_of(krill)}
    local s = m:session()
    check.equal(c.n_kept(), before + 1)
    local prompt = m:tokenize("Once upon a time", {bos = true})
    local sampler = m:greedy()
    m:close()
    collect()
    s:append(prompt)
    check.equal(s:generate(sampler, {max_tokens = 24}):text(), best)
    sampler:close()
    s:close()
    collect()
    check.equal(c.n_kept(), before)
end

function tests.a_storage()
    local storage = {name = "krill.remora", reads = 0}
    local f = assert(io.open(krill, "rb"))
    function storage:size(name) -- luacheck: ignore
        return name == self.name and f:seek("end") or nil
    end
    function storage:read(_, offset, n)
        self.reads = self.reads + 1
        f:seek("set", offset)
        return f:read(n)
    end
    check.throws(nil, "needs a runtime with threads = 1", remora.open, storage)
    local lines = {}
    local rt = remora.runtime {threads = 1, log_level = "debug", log = function(level, line) lines[#lines + 1] = level .. line end}
    local m = remora.open(storage, {runtime = rt})
    check.equal(m:info().fingerprint, model:info().fingerprint)
    assert(storage.reads > 0)
    check.throws(nil, "has to give", remora.open, {name = "krill.remora", size = storage.size, read = function() return "" end},
        {runtime = rt})
    check.throws("E_NOT_FOUND", "", remora.open, {name = "x.remora", size = function() end, read = print}, {runtime = rt})
    f:close()
    check.equal(rt:info().n_threads, 1)
    check.equal(rt:devices()[1].kind, "cpu")
    check.throws(nil, "a log in Lua needs threads = 1", remora.runtime, {log = print})
end

function tests.what_a_model_says()
    local info = model:info()
    check.equal({info.n_vocab, info.family, #info.fingerprint}, {8192, "deepseek_v3", 32})
    check.equal(model:meta("config.hidden_size"), "512")
    check.equal(model:meta("nothing"), nil)
    assert(#model:meta_keys() > 5 and model:runtime_info().n_threads >= 1)
    check.equal({model:special("bos"), model:token_flags(0).control, model:token_flags(488).control}, {0, true, false})
    assert(#model:end_tokens() > 0)
    check.equal(model:token_bytes(488), "The")
    local m = remora.open(krill, {host_budget = 400000000})
    assert(m:set_budget(200000000))
    check.throws("E_NOMEM", "", m.set_budget, m, 1000)
    local needed = remora.estimate(krill, 2, {capacity = 128})
    assert(needed.host_kv > 0)
end

function tests.what_tokens_do_inside()
    local m = remora.open(krill, {importance = true})
    m:routing_enable()
    local s = m:session()
    s:append_text("The captain looked at the sea.", {want = "all"})
    s:eval()
    local sum = 0
    for _, n in ipairs(m:routing(3, true)) do sum = sum + n end
    check.equal(sum, s:info().committed * m:info().n_experts_used)
    local first = m:importance()[1]
    local sums, count = m:importance_sums(0)
    check.equal({#sums, count}, {first.n_cols, s:info().committed})
end

function tests.packs()
    local report = remora.verify(krill)
    check.equal({report.checksums, report.self_test}, {"OK", "OK"})
    local recipes = remora.recipes()
    assert(recipes.keep)
    local e = check.throws("E_NOT_FOUND", "nothing", remora.verify, root .. "/models/nothing.remora")
    check.equal(e.report.checksums, "E_NOT_FOUND")
end

-- ---- conversations

function tests.conversations_and_calls()
    local chat = model:chat {format = "deepseek-v3"}
    chat:add("system", "You are a remora."):add("user", "How warm is it?")
    chat:add("assistant", "", {calls = {{id = "1", name = "get", arguments = '{"a": 1}'}}})
    chat:add("tool", "12", {call_id = "1"}):add_tool('{"type": "function", "function": {"name": "get"}}')
    check.equal({chat:info().n_turns, chat:info().n_tools}, {4, 1})
    local prompt = chat:prompt()
    assert(prompt.calls and #prompt.tokens > 10)
    chat:trim(2)
    check.equal(chat:info().n_turns, 2)
    local s = model:session()
    local kinds = {}
    check.throws("E_UNSUPPORTED", "with which calls of chat format deepseek-v3 end", chat.constraint, chat, nil, {one_call = true})
    local plain = model:chat {format = "deepseek-v3"}:add("user", "Say seven as JSON.")
    local prompt_options = {schema = '{"enum": [7]}'}
    local p = model:greedy():constrain(plain:constraint(prompt_options))
    local answer = plain:answer(s, p, {max_tokens = 40, prompt = prompt_options}, function(e) kinds[e.kind] = true end)
    check.equal({tonumber(answer.content), answer.finish, kinds.content, kinds["end"]}, {7, "stop", true, true})
    check.throws("E_ARG", "", chat.add, chat, "user", "x", {call_id = "1"})
    local formats = remora.chat_formats()
    assert(#formats > 5)
    local parse = model:chat_parse("deepseek-v3", {calls = true})
    parse:push_text("Hello ")
    local copy = parse:clone()
    copy:push(model:tokenize("you"))
    assert(copy:info().bytes > parse:info().bytes)
    parse:copy(copy)
    check.equal({parse:info().bytes, parse:info().place}, {copy:info().bytes, "content"})
end

function tests.a_format_of_the_program()
    local chat = model:chat {described = {user_open = "Q: ", user_close = "\n", assistant_open = "A: ", assistant_close = "\n"}}
    chat:add("user", "Hi")
    check.equal(model:detokenize(chat:prompt().tokens), "Q: Hi\nA: ")
end

function tests.versions()
    assert(remora.version() >= 16777216 and remora.version_string():find("^1%.") and #remora.build_info() > 10)
end

os.exit(check.run(tests), true)
