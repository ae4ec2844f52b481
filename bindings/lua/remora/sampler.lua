-- SPDX-License-Identifier: Apache-2.0
-- Samplers, their stages, and constraints.
local c = require "remora.c"
local model = require "remora.model"
local F, V = c.F, c.values
if rawget(_G, "jit") then jit.off(true, true) end

local M = {}
local Sampler = c.class("sampler", "remora_sampler", F.remora_sampler_free)
local Constraint = c.class("constraint", "remora_constraint", F.remora_constraint_free)
M.Sampler, M.Constraint = Sampler, Constraint

-- A sampler without stages; the methods that add one give it back, so that they can be written in a row.
function model.Model:sampler(seed)
    local out = Sampler.box()
    c.call(F.remora_sampler_create, self:handle(), seed or 0, out)
    return Sampler.from(out)
end

-- One that takes the best token.
function model.Model:greedy()
    return self:sampler(0):temperature(0)
end

-- Add a stage by its word, "top_k".
function Sampler:stage(word, value, count)
    local kind = c.word("remora_stage_kinds", "REMORA_STAGE_", word)
    c.call(F.remora_sampler_add, self:handle(), c.struct("remora_stage", {kind = kind, value = value or 0, count = count or 0}))
    return self
end

function Sampler:temperature(value) return self:stage("temperature", value) end
function Sampler:top_k(count) return self:stage("top_k", 0, count) end
function Sampler:top_p(value) return self:stage("top_p", value) end
function Sampler:min_p(value) return self:stage("min_p", value) end
function Sampler:repetition(value, window) return self:stage("repeat", value, window) end
function Sampler:frequency(value, window) return self:stage("frequency", value, window) end
function Sampler:presence(value, window) return self:stage("presence", value, window) end
function Sampler:bias(token, value) return self:stage("bias", value, token) end
function Sampler:ban(token) return self:stage("bias", -math.huge, token) end

-- ---- a stage of the program

local Candidates = {}
Candidates.__index = Candidates

-- The i-th candidate, from 1: its token, logit and log probability.
function Candidates:get(i)
    assert(i >= 1 and i <= self.n, "there is no such candidate")
    local p = self.pointer
    return c.get(p, "remora_token_prob", "token", i - 1), c.get(p, "remora_token_prob", "logit", i - 1),
        c.get(p, "remora_token_prob", "logprob", i - 1)
end

-- Give the i-th candidate another logit; -math.huge drops it.
function Candidates:set(i, logit)
    assert(i >= 1 and i <= self.n, "there is no such candidate")
    c.set_at(self.pointer, "remora_token_prob", "logit", i - 1, logit)
end

-- A stage of your own: f(candidates) with n, get(i) and set(i, logit). An error in it is thrown by the call that picks.
function Sampler:callback(f)
    local function stage(pointer, n)
        f(setmetatable({pointer = pointer, n = c.value(n, "size_t", 0)}, Candidates))
        return V.REMORA_OK
    end
    local box = c.struct("remora_stage", {kind = V.REMORA_STAGE_CALLBACK, user = c.kept {stage = stage},
        fn = c.callback("remora_stage", "fn"), release = c.callback("remora_stage", "release")})
    c.call(F.remora_sampler_add, self:handle(), box)
    return self
end

-- ---- what it has read, and picks

function Sampler:clone()
    local out = Sampler.box()
    c.call(F.remora_sampler_clone, self:handle(), out)
    return Sampler.from(out)
end

function Sampler:reset(seed)
    F.remora_sampler_reset(self:handle(), seed or 0)
    return self
end

function Sampler:accept(token)
    c.call(F.remora_sampler_accept, self:handle(), token)
end

function Sampler:rollback(n)
    c.call(F.remora_sampler_rollback, self:handle(), n)
end

-- What is generated begins with these bytes, which a prompt has left out (Model:fim with heal).
function Sampler:spell(bytes)
    c.call(F.remora_sampler_spell, self:handle(), bytes or "", #(bytes or ""))
    return self
end

-- Bound what it picks; nil ends that.
function Sampler:constrain(constraint)
    c.call(F.remora_sampler_constrain, self:handle(), constraint and constraint:handle())
    return self
end

-- A token from an output row of a session, the last one where none is named.
function Sampler:pick(session, row)
    local out = c.new("remora_token", 1)
    row = row or math.max(session:info().n_rows - 1, 0)
    c.call(F.remora_sampler_pick, self:handle(), session:handle(), row, out)
    return c.value(out, "remora_token", 0)
end

-- A token from a list of logits, that of token 0 first.
function Sampler:pick_from(logits)
    local list, n = c.array("float", logits)
    local out = c.new("remora_token", 1)
    c.call(F.remora_sampler_pick_from, self:handle(), list, n, out)
    return c.value(out, "remora_token", 0)
end

-- ---- constraints

local constraint_options = {lax = true, memory = true, steps = true}

-- kind: "json_schema", "regex", "gbnf", "lark" with a source, "choice" with a list of texts. options: lax, memory, steps.
function model.Model:constraint(kind, source, o)
    o = c.check_options(o, constraint_options, "a constraint")
    local choices, n = nil, 0
    if kind == "choice" then choices, n = c.texts(source) end
    local box = c.struct("remora_constraint_opts", {kind = c.word("remora_constraint_kinds", "REMORA_CONSTRAINT_", kind),
        source = kind == "choice" and "" or source, choices = choices, n_choices = n, memory = o.memory or 0, steps = o.steps or 0,
        flags = o.lax and V.REMORA_SCHEMA_LAX or 0})
    local out = Constraint.box()
    c.call(F.remora_constraint_create, self:handle(), box, out)
    return Constraint.from(out)
end

return M
