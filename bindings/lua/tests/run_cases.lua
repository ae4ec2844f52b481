-- SPDX-License-Identifier: Apache-2.0
-- The cases that all languages run (bindings/cases.json), through this binding.
--
--     run_cases.lua SOURCE_ROOT
local root = arg[1]
local remora = require "remora"
local json, check = require "json", require "check"

local model = remora.open(root .. "/models/krill.remora")

-- The binding's word for a name of the header.
local function word(name, prefix)
    assert(remora.values[name] and name:sub(1, #prefix) == prefix, name)
    return name:sub(#prefix + 1):lower()
end

local function has(case, flag)
    assert(remora.values[flag], flag)
    for _, name in ipairs(case.flags or {}) do
        if name == flag then return true end
    end
    return false
end

local function session_of(case, tokens)
    local session = model:session {capacity = case.capacity}
    session:append(tokens)
    return session
end

local function prompted(case)
    local flags = case.prompt_flags or {"REMORA_TEXT_BOS"}
    return session_of(case, model:tokenize(case.prompt, {bos = has({flags = flags}, "REMORA_TEXT_BOS")}))
end

local function sampler_of(case, seed)
    local sampler = model:sampler(seed or case.seed)
    for _, stage in ipairs(case.stages or {}) do
        sampler:stage(word(stage.kind, "REMORA_STAGE_"), stage.value, stage.count)
    end
    local k = case.constraint
    if k then
        local kind = word(k.kind, "REMORA_CONSTRAINT_")
        sampler:constrain(model:constraint(kind, k.choices or k.source, {lax = has(k, "REMORA_SCHEMA_LAX")}))
    end
    return sampler
end

local function put_result(want, g, text)
    local info = g:info()
    want.status, want.tokens, want.text = g.status, g.tokens, text
    want.reason = "REMORA_REASON_" .. info.reason:upper()
    if info.reason == "stop" then want.stop = info.stop end
    if g.message ~= "" then want.message = g.message end
end

local function generate_all(session, sampler, case, want, more)
    local o = {max_tokens = case.max_tokens, stop = case.stop, keep_stop = has(case, "REMORA_GEN_KEEP_STOP")}
    for key, x in pairs(more or {}) do o[key] = x end
    local g = session:generate(sampler, o)
    local text = ""
    local ok, e = pcall(function()
        for piece in g do text = text .. piece end
    end)
    put_result(want, g, text)
    if not ok then error(e, 0) end
end

local run = {}

function run.open(case, want)
    local opened = remora.open(root .. "/" .. case.path, {no_weights = has(case, "REMORA_MODEL_NO_WEIGHTS")})
    want.status = "OK"
    local info = opened:info()
    for _, key in ipairs {"n_layers", "n_vocab", "n_hidden", "max_context", "has_tokenizer", "family"} do want[key] = info[key] end
    opened:close()
end

function run.tokenize(case, want)
    want.tokens = model:tokenize(case.text, {bos = has(case, "REMORA_TEXT_BOS"), special = has(case, "REMORA_TEXT_SPECIAL")})
    want.status, want.text = "OK", model:detokenize(want.tokens)
end

function run.append(case, want)
    session_of(case, case.tokens)
    want.status = "OK"
end

function run.rows(case, want)
    local session = prompted(case)
    session:eval()
    want.status, want.tokens, want.logits = "OK", {}, {}
    local row = session:logits()
    for i, p in ipairs(session:top(case.n_best)) do
        want.tokens[i], want.logits[i] = p.token, p.logit
        assert(row[p.token + 1] == p.logit)
    end
end

function run.generate(case, want)
    local session = prompted(case)
    generate_all(session, sampler_of(case), case, want)
end

function run.cancel(case, want)
    local session, sampler, cancel = prompted(case), sampler_of(case), remora.cancel()
    cancel:set()
    local g = session:generate(sampler, {max_tokens = case.max_tokens, cancel = cancel})
    local ok, e = pcall(g)
    want.cancelled = not ok and e.status or nil
    cancel:clear()
    g.message = ""
    local text = g:text()
    put_result(want, g, text)
end

function run.fork(case, want)
    local parent = prompted(case)
    want.status, want.forks = "OK", {}
    for i, seed in ipairs(case.seeds) do
        want.forks[i] = {}
        generate_all(parent:fork(), sampler_of(case, seed), case, want.forks[i])
    end
end

function run.fim(case, want)
    local prompt = model:fim(case.prefix, case.suffix, {heal = has(case, "REMORA_FIM_HEAL"), max_tokens = case.max_prompt})
    want.prompt, want.heal = prompt.tokens, prompt.heal
    generate_all(session_of(case, prompt.tokens), sampler_of(case):spell(prompt.heal), case, want,
        {stop = prompt.stop, keep_stop = false})
end

function run.chat(case, want)
    local chat = model:chat {format = case.format}
    chat:add_request(case.request)
    want.prompt = chat:prompt().tokens
    local session = session_of(case, want.prompt)
    local answer = chat:answer(session, sampler_of(case), {max_tokens = case.max_tokens})
    put_result(want, answer.generation, nil)
    want.parts = {reasoning = answer.reasoning, content = answer.content, calls = {}, finish = "REMORA_FINISH_" .. answer.finish:upper()}
    for i, call in ipairs(answer.calls) do want.parts.calls[i] = {name = call.name, arguments = call.arguments} end
end

function run.parse(case, want)
    local parse = model:chat_parse(case.format, {calls = has(case, "REMORA_CHAT_PARSE_CALLS")})
    local parts = {reasoning = "", content = "", calls = {}, finish = ""}
    local function take(events)
        for _, e in ipairs(events) do
            if e.kind == "reasoning" or e.kind == "content" then parts[e.kind] = parts[e.kind] .. e.text end
            if e.kind == "call" then parts.calls[e.call + 1] = {name = e.text, arguments = ""} end
            if e.kind == "arguments" then
                local call = parts.calls[e.call + 1]
                call.arguments = call.arguments .. e.text
            end
            if e.kind == "end" then parts.finish = "REMORA_FINISH_" .. e.finish:upper() end
        end
    end
    take(parse:push_text(case.text))
    take(parse:finish())
    want.status, want.parts = "END", parts
end

local cases, bad = json.read(root .. "/bindings/cases.json", {request = true}), 0
for _, case in ipairs(cases) do
    local got = {}
    local ok, e = pcall(run[case["do"]], case["in"], got)
    if not ok then
        if not remora.is_error(e) then error(e, 0) end
        if not got.reason then got.status, got.message = e.status, e.message end
    end
    if case["do"] == "open" then got.message = nil end
    if not check.same(got, case.want) then
        bad = bad + 1
        print(case.name .. ": gives " .. check.text(got) .. "\n  wanted " .. check.text(case.want))
    end
end
print(("%d cases, %d differ"):format(#cases, bad))
os.exit(bad == 0 and #cases > 0, true)
