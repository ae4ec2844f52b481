-- SPDX-License-Identifier: Apache-2.0
-- Sessions, and what they compute and generate.
local c = require "remora.c"
local model = require "remora.model"
local F, V = c.F, c.values
if rawget(_G, "jit") then jit.off(true, true) end

local M = {}
local Session = c.class("session", "remora_session", F.remora_session_free)
M.Session = Session

-- ---- cancel words

local Cancel = {}
Cancel.__index = Cancel

-- A word that ends calls that were given it: from a callback, or from another thread by its address.
function M.cancel()
    return setmetatable({word = c.new("int32_t", 1)}, Cancel)
end

function Cancel:set()
    c.put(self.word, "int32_t", 0, 1)
end

function Cancel:clear()
    c.put(self.word, "int32_t", 0, 0)
end

function Cancel:is_set()
    return c.value(self.word, "int32_t", 0) ~= 0
end

function Cancel:address()
    return c.address(self.word)
end

-- The word at an address that another Lua state has given, and keeps.
function M.cancel_at(address)
    return setmetatable({word = c.pointer(address, "int32_t *")}, Cancel)
end

-- ---- making one

local session_options = {capacity = true, chunk = true, kv_type = true, pages_as_needed = true,
    prediction = true}

function model.session_struct(o)
    o = c.check_options(o, session_options, "a session")
    return c.struct("remora_session_opts", {capacity = o.capacity or 0, chunk = o.chunk or 0,
        kv_type = c.word("remora_kv_types", "REMORA_KV_", o.kv_type),
        flags = (o.pages_as_needed and V.REMORA_SESSION_PAGES_AS_NEEDED or 0) +
            (o.prediction and V.REMORA_SESSION_PREDICTION or 0)})
end

-- options: capacity, chunk, kv_type ("bf16", "int8", "f32"), pages_as_needed, prediction.
function model.Model:session(o)
    local out = Session.box()
    c.call(F.remora_session_create, self:handle(), model.session_struct(o), out)
    return Session.from(out, {model = self})
end

-- A session of another Lua state of this process, which keeps it.
function M.session_at(address)
    local self = Session.at(address)
    self.model = model.Model.at(c.address(F.remora_session_model(self:handle())))
    return self
end

function Session:fork()
    local out = Session.box()
    c.call(F.remora_session_fork, self:handle(), out)
    return Session.from(out, {model = self.model})
end

function Session:info()
    return c.read(F.remora_session_get_info, self:handle(), "remora_session_info")
end

function Session:options()
    local got = c.read(F.remora_session_get_options, self:handle(), "remora_session_opts")
    got.kv_type = c.word_of("remora_kv_types", "REMORA_KV_", got.kv_type)
    return got
end

function Session:stats()
    return c.read(F.remora_session_get_stats, self:handle(), "remora_stats")
end

-- ---- the timeline

-- want: "none", "last" (the default), "all"; hidden: keep hidden states too.
local function wanted(o)
    o = c.check_options(o, {want = true, hidden = true}, "append")
    return c.word("remora_want_bits", "REMORA_WANT_", o.want or "last") + (o.hidden and V.REMORA_WANT_HIDDEN or 0)
end

function Session:append(tokens, o)
    local list, n = c.array("remora_token", tokens)
    c.call(F.remora_session_append, self:handle(), list or c.new("remora_token", 1), n, wanted(o))
end

-- Tokens of a text; at the beginning of the timeline with what the tokenizer puts in front.
function Session:append_text(text, o)
    local info = self:info()
    self:append(self.model:tokenize(text, {bos = info.committed + info.pending == 0}), o)
end

-- Make the timeline equal to these tokens; how many of them were in the cache already.
function Session:sync(tokens, o)
    local list, n = c.array("remora_token", tokens)
    local reused = c.new("size_t", 1)
    c.call(F.remora_session_sync, self:handle(), list or c.new("remora_token", 1), n, wanted(o), reused)
    return c.value(reused, "size_t", 0)
end

function Session:trim(keep)
    c.call(F.remora_session_trim, self:handle(), keep)
end

function Session:tokens(from)
    return c.numbers("remora_token", 1024, function(out, cap, n)
        return c.try(F.remora_session_tokens, self:handle(), from or 0, out, cap, n)
    end)
end

-- ---- computing

local function drafts_of(o)
    return o.max_drafts == "auto" and V.REMORA_DRAFTS_AUTO or o.max_drafts or 0
end

-- Evaluate what is pending in several sessions of one model. true: all is done; false: budget_us or max_tokens is used up.
-- max_drafts, a number or "auto": most tokens that are guessed behind each session's last one. ahead: take what was guessed
-- right and evaluate nothing; false where something is pending still.
function M.eval(sessions, o)
    o = c.check_options(o, {budget_us = true, max_tokens = true, max_drafts = true, ahead = true, cancel = true}, "eval")
    local list = {}
    for i, session in ipairs(sessions) do list[i] = session:handle() end
    local group, n = c.array("remora_session *", list)
    local opts = c.struct("remora_eval_opts", {budget_us = o.budget_us or 0, max_tokens = o.max_tokens or 0,
        max_drafts = drafts_of(o), flags = o.ahead and V.REMORA_EVAL_AHEAD or 0, cancel = o.cancel and o.cancel.word})
    return c.call(F.remora_eval, group or c.new("remora_session *", 1), n, opts) ~= V.REMORA_MORE
end

function Session:eval(o)
    return M.eval({self}, o)
end

-- The number of an output row; without one the last.
local function row_of(self, row)
    return row or math.max(self:info().n_rows - 1, 0)
end

-- A list of n_vocab numbers: logits of token 0 first.
function Session:logits(row)
    local out, n = c.new("const float *", 1), c.new("size_t", 1)
    c.call(F.remora_session_logits, self:handle(), row_of(self, row), out, n)
    return c.list(c.value(out, "const float *", 0), "float", c.value(n, "size_t", 0))
end

-- The n most probable tokens, best first: tables with token, logit, logprob.
function Session:top(most, row)
    local out, n = c.new("remora_token_prob", most), c.new("size_t", 1)
    c.call(F.remora_session_top, self:handle(), row_of(self, row), out, most, n)
    local all = {}
    for i = 1, c.value(n, "size_t", 0) do all[i] = c.table(out, "remora_token_prob", i - 1) end
    return all
end

function Session:logprob(token, row)
    local out = c.new("float", 1)
    c.call(F.remora_session_logprob, self:handle(), row_of(self, row), token, out)
    return c.value(out, "float", 0)
end

function Session:hidden(row)
    row = row_of(self, row)
    return c.numbers("float", 1024, function(out, cap, n)
        return c.try(F.remora_session_hidden, self:handle(), row, out, cap, n)
    end)
end

-- ---- generating

local Generation = {}
Generation.__index = Generation
M.Generation = Generation
local TEXT, TOKENS = 512, 64
local generate_options = {max_tokens = true, stop = true, keep_stop = true, n_best = true, cancel = true, max_drafts = true,
    budget_us = true}

-- Text as it is generated: `for piece in session:generate(sampler, {max_tokens = 40}) do`. Without a sampler the best token is
-- taken. options: max_tokens, stop (a list), keep_stop, n_best, cancel; max_drafts, a number or "auto": as many as pay;
-- budget_us of each call, see step().
function Session:generate(sampler, o)
    o = c.check_options(o, generate_options, "generate")
    sampler = sampler or self.model:greedy()
    local stop, n_stop = c.texts(type(o.stop) == "string" and {o.stop} or o.stop)
    local g = setmetatable({session = self, sampler = sampler, tokens = {}, probs = {}, status = "MORE", message = "", done = false,
        n_best = o.n_best, cap_tokens = TOKENS}, Generation)
    g.flags = o.keep_stop and V.REMORA_GEN_KEEP_STOP or 0
    g.budget_us = o.budget_us or 0
    g.text_box, g.token_box = c.new("char", TEXT), c.new("remora_token", TOKENS)
    g.n, g.n_made = c.new("size_t", 1), c.new("size_t", 1)
    g.prob_box = o.n_best and c.new("remora_token_prob", TOKENS * (1 + o.n_best)) or nil
    g.opts = c.struct("remora_gen_opts", {flags = g.flags + V.REMORA_GEN_NEW, max_tokens = o.max_tokens or 0, stop = stop,
        n_stop = n_stop, cancel = o.cancel and o.cancel.word, probs = g.prob_box, n_best = o.n_best or 0,
        max_drafts = drafts_of(o)})
    return g
end

-- Tokens instead of text, each when it is there; also of models without a tokenizer. Options as for generate, without keep_stop.
function Session:generate_tokens(sampler, o)
    local g = self:generate(sampler, o)
    g.cap_tokens = 1
    g.silent = true
    return function()
        while not g.done do
            local seen = #g.tokens
            g:step()
            if #g.tokens > seen then return g.tokens[#g.tokens] end
        end
    end, g
end

local function take(self, n)
    for i = 1, n do
        self.tokens[#self.tokens + 1] = c.value(self.token_box, "remora_token", i - 1)
        if self.prob_box then
            local at = (i - 1) * (1 + self.n_best)
            local entry = c.table(self.prob_box, "remora_token_prob", at)
            entry.best = {}
            for k = 1, self.n_best do entry.best[k] = c.table(self.prob_box, "remora_token_prob", at + k) end
            self.probs[#self.probs + 1] = entry
        end
    end
end

local function call(self)
    local s, p = self.session:handle(), self.sampler:handle()
    if self.silent then
        return c.try(F.remora_generate, s, p, self.opts, self.token_box, self.cap_tokens, self.n_made)
    end
    return c.try(F.remora_generate_text, s, p, self.opts, self.text_box, TEXT, self.n, self.token_box, TOKENS, self.n_made)
end

-- One call of the library, of at most budget_us microseconds: its text, which may be empty. `done` says whether it was the last.
-- An error is thrown; where it was a cancel, the next call goes on.
function Generation:step(budget_us)
    c.set(self.opts, "remora_gen_opts", "budget_us", budget_us or self.budget_us)
    c.put(self.n, "size_t", 0, 0)
    c.put(self.n_made, "size_t", 0, 0)
    local status = call(self)
    local n_made = c.value(self.n_made, "size_t", 0)
    if status >= 0 or n_made > 0 or status == V.REMORA_E_FULL then c.set(self.opts, "remora_gen_opts", "flags", self.flags) end
    take(self, n_made)
    self.status = c.status_name(status)
    self.done = status == V.REMORA_END or status == V.REMORA_E_FULL
    if status < 0 then
        local e = c.error(status)
        self.message = e.message
        if not self.done then error(e, 0) end
    end
    return c.string(self.text_box, c.value(self.n, "size_t", 0))
end

-- The next piece of text; nil at the end.
function Generation:__call()
    while not self.done do
        local text = self:step()
        if text ~= "" then return text end
    end
end

-- All of the rest, joined.
function Generation:text()
    local all = {}
    for piece in self do all[#all + 1] = piece end
    return table.concat(all)
end

-- The numbers of remora_generation_info: why it has ended is reason, "end_of_turn", "stop", "max_tokens" or "capacity".
function Generation:info()
    return self.session:generation()
end

function Session:generation()
    local got = c.read(F.remora_session_get_generation, self:handle(), "remora_generation_info")
    got.reason = c.word_of("remora_reasons", "REMORA_REASON_", got.reason)
    return got
end

return M
