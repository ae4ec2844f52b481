-- SPDX-License-Identifier: Apache-2.0
-- Completion for Neovim: while you type at the end of a line, the rest of it appears behind the cursor as ghost text; <Tab> takes it.
--
--     require "remora_complete".setup {model = "model.remora"}
--
-- The model computes on a thread of Neovim's pool, so keys never wait. At each key the work for the key before is cancelled. The
-- session keeps what the prompts have in common, and a word that is half typed is healed: the completion begins with it.
local M = {}
local uv, api = vim.loop, vim.api
local here = debug.getinfo(1, "S").source:sub(2):match("^(.*)/lua/[^/]*$")
local ns = api.nvim_create_namespace("remora")
local remora, session, cancel, work, options
local wanted, busy -- what the text around the cursor is now; what is computed
local ghost -- {buffer, row, column, text} on the screen
local counts = {requests = 0, shown = 0, cancelled = 0}
local last = {} -- of the work that ended last: status, kept, prompt, healed

-- On a thread, in a Lua state of its own: numbers and texts go in and out.
local function compute(binding, session_at, cancel_at, prefix, suffix, most_prompt, most_tokens)
    if not package.loaded.remora then package.path = binding .. "/?.lua;" .. binding .. "/?/init.lua;" .. package.path end
    local lib = require "remora"
    local kept, n_prompt, n_heal = 0, 0, 0
    local ok, got = pcall(function()
        local s = lib.session_at(session_at)
        local hole = s.model:fim(prefix, suffix, {heal = true, max_tokens = most_prompt})
        n_prompt, n_heal = #hole.tokens, #hole.heal
        kept = s:sync(hole.tokens)
        local sampler = s.model:greedy():spell(hole.heal)
        local stop = hole.stop
        stop[#stop + 1] = "\n"
        local g = s:generate(sampler, {max_tokens = most_tokens, stop = stop, cancel = lib.cancel_at(cancel_at)})
        local done, text = pcall(g.text, g)
        sampler:close()
        if not done then error(text, 0) end
        return text:sub(n_heal + 1) -- without what is typed already
    end)
    if ok then return "OK", got, kept, n_prompt, n_heal end
    return lib.is_error(got) and got.status or "error", tostring(got), kept, n_prompt, n_heal
end

local function hide()
    if ghost and api.nvim_buf_is_valid(ghost.buffer) then api.nvim_buf_clear_namespace(ghost.buffer, ns, 0, -1) end
    ghost = nil
end

local function show(place, text)
    hide()
    if text == "" then return end
    api.nvim_buf_set_extmark(place.buffer, ns, place.row, place.column,
        {virt_text = {{text, "Comment"}}, virt_text_pos = "overlay", hl_mode = "combine"})
    ghost = {buffer = place.buffer, row = place.row, column = place.column, text = text}
    counts.shown = counts.shown + 1
end

local function start()
    busy = wanted
    cancel:clear()
    counts.requests = counts.requests + 1
    work:queue(options.binding, session:address(), cancel:address(), busy.prefix, busy.suffix, options.max_prompt,
        options.max_tokens)
end

local function ended(status, text, kept, n_prompt, n_heal)
    local of = busy
    last = {status = status, kept = kept, prompt = n_prompt, healed = n_heal, message = status ~= "OK" and text or nil}
    if status == "E_CANCELLED" then counts.cancelled = counts.cancelled + 1 end
    vim.schedule(function()
        busy = nil
        if wanted and wanted ~= of then
            start()
        elseif wanted and status == "OK" then
            show(of, text)
        end
    end)
end

-- The text around the cursor has changed: complete it.
function M.request()
    local buffer = api.nvim_get_current_buf()
    local row, column = unpack(api.nvim_win_get_cursor(0))
    local lines = api.nvim_buf_get_lines(buffer, 0, -1, false)
    local before = vim.list_slice(lines, 1, row - 1)
    before[#before + 1] = lines[row]:sub(1, column)
    local behind = {lines[row]:sub(column + 1), unpack(vim.list_slice(lines, row + 1))}
    local place = {buffer = buffer, row = row - 1, column = column, prefix = table.concat(before, "\n"),
        suffix = table.concat(behind, "\n") .. "\n"}
    if column < #lines[row] then return M.stop() end -- ghost text would cover what is behind the cursor
    if wanted and wanted.prefix == place.prefix and wanted.suffix == place.suffix then return end
    hide()
    wanted = place
    if busy then cancel:set() else start() end
end

-- Nothing is wanted any more.
function M.stop()
    hide()
    wanted = nil
    if busy then cancel:set() end
end

-- Put the ghost text into the buffer; false where there is none.
function M.accept()
    if not ghost then return false end
    local g = ghost
    hide()
    api.nvim_buf_set_text(g.buffer, g.row, g.column, g.row, g.column, {g.text})
    api.nvim_win_set_cursor(0, {g.row + 1, g.column + #g.text})
    return true
end

-- What it does at the moment, for status lines and tests.
function M.state()
    return {busy = busy ~= nil, ghost = ghost and ghost.text or nil, counts = counts, last = last}
end

-- options: model, binding (the folder with the module remora), library (a file), max_prompt, max_tokens, key.
function M.setup(o)
    options = vim.tbl_extend("force", {binding = here .. "/../../bindings/lua", max_prompt = 1024, max_tokens = 48, key = "<Tab>"}, o)
    if options.library then uv.os_setenv("REMORA_LIBRARY", options.library) end
    package.path = options.binding .. "/?.lua;" .. options.binding .. "/?/init.lua;" .. package.path
    remora = require "remora"
    session = remora.open(options.model):session {capacity = options.max_prompt + options.max_tokens + 64}
    cancel = remora.cancel()
    work = uv.new_work(compute, ended)
    local group = api.nvim_create_augroup("remora", {})
    api.nvim_create_autocmd({"TextChangedI", "CursorMovedI", "InsertEnter"}, {group = group, callback = M.request})
    api.nvim_create_autocmd({"InsertLeave", "VimLeavePre"}, {group = group, callback = M.stop})
    vim.keymap.set("i", options.key, function()
        vim.schedule(M.accept)
        return ghost and "" or options.key
    end, {expr = true})
end

return M
