-- SPDX-License-Identifier: Apache-2.0
-- Conversations: prompts from turns, and answers read back.
local c = require "remora.c"
local model = require "remora.model"
local sampler = require "remora.sampler"
local F, V = c.F, c.values
if rawget(_G, "jit") then jit.off(true, true) end

local M = {}
local Chat = c.class("chat", "remora_chat", F.remora_chat_free)
local Parse = c.class("chat_parse", "remora_chat_parse", F.remora_chat_parse_free)
M.Chat, M.Parse = Chat, Parse

-- The names of the built-in chat formats.
function M.chat_formats()
    return model.all_of(function(i)
        local name = c.new("const char *", 1)
        c.call(F.remora_chat_format_name, i, name)
        return c.string(c.value(name, "const char *", 0))
    end)
end

-- A conversation. options: format (a name), described (a table with the fields of remora_chat_format), date.
function model.Model:chat(o)
    o = c.check_options(o, {format = true, described = true, date = true}, "a chat")
    local box = c.struct("remora_chat_opts", {format = o.format, date = o.date or "",
        described = o.described and c.struct("remora_chat_format", o.described)})
    local out = Chat.box()
    c.call(F.remora_chat_create, self:handle(), box, out)
    return Chat.from(out, {model = self})
end

-- ---- turns

local turn_options = {name = true, reasoning = true, call_id = true, calls = true}

-- role: "system", "user", "assistant", "tool", "reminder". options: name, reasoning, call_id, and calls, a list of tables with id,
-- name, arguments.
function Chat:add(role, text, o)
    o = c.check_options(o, turn_options, "a turn")
    local list = {}
    for i, one in ipairs(o.calls or {}) do
        list[i] = {id = one.id or "", name = one.name, arguments = one.arguments or ""}
    end
    local calls, n = c.structs("remora_call", list)
    c.call(F.remora_chat_add, self:handle(), c.struct("remora_turn", {role = c.word("remora_chat_roles", "REMORA_ROLE_", role),
        text = text or "", name = o.name or "", reasoning = o.reasoning or "", call_id = o.call_id or "", calls = calls, n_calls = n}))
    return self
end

-- A tool, in OpenAI's form: JSON.
function Chat:add_tool(json)
    c.call(F.remora_chat_add_tool, self:handle(), json, #json)
    return self
end

-- A request of OpenAI's API: JSON.
function Chat:add_request(json)
    c.call(F.remora_chat_add_json, self:handle(), json, #json)
    return self
end

function Chat:trim(keep)
    c.call(F.remora_chat_trim, self:handle(), keep)
end

function Chat:info()
    return c.read(F.remora_chat_get_info, self:handle(), "remora_chat_info")
end

-- ---- prompts

local prompt_flags = {continue = V.REMORA_PROMPT_CONTINUE, no_request = V.REMORA_PROMPT_NO_REQUEST,
    as_template = V.REMORA_PROMPT_AS_TEMPLATE}
local prompt_options = {think = true, effort = true, choice = true, tool = true, schema = true, continue = true, no_request = true,
    as_template = true}

local function prompt_struct(o)
    o = c.check_options(o, prompt_options, "a prompt")
    local think = o.think
    if type(think) == "boolean" then think = think and "on" or "off" end
    return c.struct("remora_prompt_opts", {flags = c.flags(o, prompt_flags), think = c.word("remora_thinking", "REMORA_THINK_", think),
        effort = o.effort or 0, choice = c.word("remora_tool_choices", "REMORA_CHOICE_", o.choice), tool = o.tool or "",
        schema = o.schema or ""})
end

-- tokens, and what reading the answer needs: begin, calls. options: think, effort, choice ("none", "required", "named" with tool),
-- schema, continue, no_request, as_template.
function Chat:prompt(o)
    local opts, info = prompt_struct(o), c.struct("remora_prompt_info")
    local tokens = c.numbers("remora_token", 1024, function(out, cap, n)
        return c.try(F.remora_chat_prompt, self:handle(), opts, out, cap, n, info)
    end)
    local got = c.table(info, "remora_prompt_info")
    got.tokens, got.calls = tokens, got.calls == 1
    return got
end

-- What may answer the prompt of the same options: for Sampler:constrain. more: one_call, lax, memory, steps.
function Chat:constraint(o, more)
    more = c.check_options(more, {one_call = true, lax = true, memory = true, steps = true}, "an answer")
    local opts = c.struct("remora_answer_opts", {flags = c.flags(more, {one_call = V.REMORA_ANSWER_ONE_CALL,
        lax = V.REMORA_ANSWER_LAX}), memory = more.memory or 0, steps = more.steps or 0})
    local out = sampler.Constraint.box()
    c.call(F.remora_chat_constraint, self:handle(), prompt_struct(o), opts, out)
    return sampler.Constraint.from(out)
end

-- ---- answers

local function parse(m, o)
    local out = Parse.box()
    c.call(F.remora_chat_parse_create, m:handle(), c.struct("remora_chat_parse_opts", o), out)
    return Parse.from(out)
end

-- Reads an answer in a format of that name, or the model's. options: calls, begin.
function model.Model:chat_parse(format, o)
    o = c.check_options(o, {calls = true, begin = true}, "chat_parse")
    return parse(self, {format = format, begin = o.begin or 0, flags = o.calls and V.REMORA_CHAT_PARSE_CALLS or 0})
end

-- Reads the answer to a prompt of this conversation.
function Chat:parse(prompt)
    return parse(self.model, {chat = self:handle(), begin = prompt.begin, flags = prompt.calls and V.REMORA_CHAT_PARSE_CALLS or 0})
end

local function event(box)
    local e = c.table(box, "remora_chat_event")
    e.kind = c.word_of("remora_chat_parts", "REMORA_PART_", e.kind)
    e.finish = e.finish ~= 0 and c.word_of("remora_chat_finishes", "REMORA_FINISH_", e.finish) or nil
    return e
end

-- The events of tokens: a list of tables with kind ("reasoning", "content", "call", "arguments", "call_end", "rest", "end"), text,
-- id, call and, of "end", finish.
function Parse:push(tokens)
    local events, used, at = {}, c.new("size_t", 1), 0
    while true do
        local list, n = c.array("remora_token", {select(at + 1, (table.unpack or unpack)(tokens))})
        local box = c.struct("remora_chat_event")
        local status = c.call(F.remora_chat_parse_next, self:handle(), list or c.new("remora_token", 1), n, used, box)
        at = at + c.value(used, "size_t", 0)
        if status ~= V.REMORA_MORE then return events end
        events[#events + 1] = event(box)
    end
end

-- The same for text whose tokens are not known.
function Parse:push_text(text)
    local events, used = {}, c.new("size_t", 1)
    while true do
        local box = c.struct("remora_chat_event")
        local status = c.call(F.remora_chat_parse_text, self:handle(), text, #text, used, box)
        text = text:sub(c.value(used, "size_t", 0) + 1)
        if status ~= V.REMORA_MORE then return events end
        events[#events + 1] = event(box)
    end
end

-- The last events. cut: the answer did not end by itself.
function Parse:finish(cut)
    local events = {}
    while true do
        local box = c.struct("remora_chat_event")
        local status = c.try(F.remora_chat_parse_end, self:handle(), cut and 1 or 0, box)
        if status < 0 then
            local e = c.error(status)
            e.events = events
            error(e, 0)
        end
        events[#events + 1] = event(box)
        if status == V.REMORA_END then return events end
    end
end

function Parse:clone()
    local out = Parse.box()
    c.call(F.remora_chat_parse_clone, self:handle(), out)
    return Parse.from(out)
end

-- Be as another one is: a clone of this, or what this was cloned from.
function Parse:copy(from)
    c.call(F.remora_chat_parse_copy, self:handle(), from:handle())
end

function Parse:info()
    local got = c.read(F.remora_chat_parse_get_info, self:handle(), "remora_chat_parse_info")
    got.place = c.word_of("remora_chat_places", "REMORA_PLACE_", got.place)
    return got
end

-- ---- the whole of it

-- Generate an answer: a table with reasoning, content, calls = {{id, name, arguments}, ..}, finish, message (where it broke its
-- format) and the generation. on_event is called with each event. options: those of generate, with prompt for the prompt's.
function Chat:answer(session, with, o, on_event)
    local options = {}
    for key, value in pairs(o or {}) do options[key] = value end
    local prompt = self:prompt(options.prompt)
    options.prompt = nil
    session:sync(prompt.tokens)
    local reader, got = self:parse(prompt), {reasoning = "", content = "", rest = "", calls = {}}
    local function take(events)
        for _, e in ipairs(events) do
            if e.kind == "call" then
                got.calls[e.call + 1] = {id = e.id, name = e.text, arguments = ""}
            elseif e.kind == "arguments" then
                got.calls[e.call + 1].arguments = got.calls[e.call + 1].arguments .. e.text
            elseif got[e.kind] then
                got[e.kind] = got[e.kind] .. e.text
            elseif e.kind == "end" then
                got.finish = e.finish
            end
            if on_event then on_event(e) end
        end
    end
    local tokens, generation = session:generate_tokens(with, options)
    for token in tokens do take(reader:push {token}) end
    got.generation = generation
    local ok, events = pcall(reader.finish, reader, generation:info().reason ~= "end_of_turn")
    if not ok and not c.is_error(events, "E_FORMAT") then error(events, 0) end
    if not ok then got.message = events.message end
    take(ok and events or events.events)
    reader:close()
    return got
end

return M
