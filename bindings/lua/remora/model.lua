-- SPDX-License-Identifier: Apache-2.0
-- Runtimes, models, and what is done with files.
local c = require "remora.c"
local F, V = c.F, c.values
if rawget(_G, "jit") then jit.off(true, true) end

local M = {}

-- ---- runtimes

local Runtime = c.class("runtime", "remora_runtime", F.remora_runtime_free)
M.Runtime = Runtime
local runtime_options = {threads = true, log = true, log_level = true, cuda_module = true, extra = true}

-- options: threads, log(level, message) with log_level, cuda_module, extra. A log needs threads = 1: the library calls it on the
-- thread that has something to say, and a Lua state has one thread.
function M.runtime(o)
    o = c.check_options(o, runtime_options, "a runtime")
    if o.log and o.threads ~= 1 then error("a log in Lua needs threads = 1", 2) end
    local extra, n_extra = c.extra(o.extra)
    local fields = {n_threads = o.threads or 0, log_level = c.word("remora_log_levels", "REMORA_LOG_", o.log_level), extra = extra,
        n_extra = n_extra, cuda_module = o.cuda_module}
    if o.log then
        local user = c.kept {log = function(level, message)
            o.log(c.word_of("remora_log_levels", "REMORA_LOG_", level), message)
        end}
        fields.log_user, fields.log = user, c.callback("remora_runtime_opts", "log")
        fields.release_user, fields.release = user, c.callback("remora_runtime_opts", "release")
    end
    local out = Runtime.box()
    c.call(F.remora_runtime_create, c.struct("remora_runtime_opts", fields), out)
    return Runtime.from(out)
end

function Runtime:info()
    return c.read(F.remora_runtime_get_info, self:handle(), "remora_runtime_info")
end

-- The devices that models can be opened on.
function Runtime:devices()
    local all = {}
    for i = 1, F.remora_device_count(self:handle()) do
        local box = c.struct("remora_device")
        c.call(F.remora_device_get, self:handle(), i - 1, box)
        all[i] = c.table(box, "remora_device")
        all[i].kind = c.word_of("remora_device_kinds", "REMORA_DEVICE_", all[i].kind)
        all[i].usable = all[i].usable == V.REMORA_OK
    end
    return all
end

local function runtime_of(o)
    return o.runtime and o.runtime:handle() or nil
end

-- ---- where a model comes from

local function storage_source(s)
    local function io_size(name, size)
        local n = s:size(name)
        if not n then return V.REMORA_E_NOT_FOUND end
        c.put(size, "uint64_t", 0, n)
        return V.REMORA_OK
    end
    local function io_read(name, offset, into, n)
        local bytes = s:read(name, offset, n)
        if type(bytes) ~= "string" or #bytes ~= n then
            error(("a storage's read(%q, %d, %d) has to give %d bytes"):format(name, offset, n, n), 0)
        end
        c.copy(into, bytes)
        return V.REMORA_OK
    end
    local user = c.kept {io_size = io_size, io_read = io_read}
    return {kind = V.REMORA_SOURCE_IO, path = s.name, io_user = user, io_size = c.callback("remora_source", "io_size"),
        io_read = c.callback("remora_source", "io_read"), release_user = user, release = c.callback("remora_source", "release")}
end

local function memory_source(files)
    local blobs, name = {}, nil
    for file, bytes in pairs(files) do
        blobs[#blobs + 1] = {name = file, data = bytes, size = #bytes}
        if file:match("%.remora$") or file:match("%.gguf$") then name = file end
    end
    local list, n = c.structs("remora_blob", blobs)
    return {kind = V.REMORA_SOURCE_MEMORY, path = name, blobs = list, n_blobs = n, release_user = c.kept(files),
        release = c.callback("remora_source", "release")}
end

-- A path; a table of names and bytes; or a storage: a table with size(self, name), read(self, name, offset, n) and, for a pack or
-- GGUF file, its name. The library reads a storage from all its threads, so it needs a runtime of one.
local function source(from, o)
    if type(from) == "string" then return c.struct("remora_source", {kind = V.REMORA_SOURCE_PATH, path = from}) end
    if type(from) ~= "table" then error("a model comes from a path, a table of files or a storage", 0) end
    if not from.read then return c.struct("remora_source", memory_source(from)) end
    if not o.runtime or o.runtime:info().n_threads ~= 1 then error("a storage in Lua needs a runtime with threads = 1", 0) end
    return c.struct("remora_source", storage_source(from))
end

-- Call run(user, callback) with what progress(done, total) needs; a number other than 0, or an error, stops.
local function with_progress(struct, progress, run)
    if not progress then return run(nil, nil) end
    local function call(done, total)
        local stop = progress(done, total)
        return stop and stop ~= 0 and 1 or 0
    end
    return c.while_kept({progress = call}, function(user) return run(user, c.callback(struct, "progress")) end)
end

-- ---- models

local Model = c.class("model", "remora_model", F.remora_model_free)
M.Model = Model
local model_options = {runtime = true, device = true, host_budget = true, device_budget = true, cancel = true, progress = true,
    extra = true, no_weights = true, no_mmap = true, importance = true, anyway = true, no_prediction = true}
local model_flags = {no_weights = V.REMORA_MODEL_NO_WEIGHTS, no_mmap = V.REMORA_MODEL_NO_MMAP,
    importance = V.REMORA_MODEL_IMPORTANCE, anyway = V.REMORA_MODEL_ANYWAY, no_prediction = V.REMORA_MODEL_NO_PREDICTION}

local function model_struct(o, user, callback)
    local extra, n_extra = c.extra(o.extra)
    return c.struct("remora_model_opts", {flags = c.flags(o, model_flags), device = o.device, host_budget = o.host_budget or 0,
        device_budget = o.device_budget or 0, cancel = o.cancel and o.cancel.word, progress_user = user, progress = callback,
        extra = extra, n_extra = n_extra})
end

function M.open(from, o)
    o = c.check_options(o, model_options, "open")
    local out = Model.box()
    with_progress("remora_model_opts", o.progress, function(user, callback)
        local src, opts = source(from, o), model_struct(o, user, callback)
        c.call(F.remora_model_open, runtime_of(o), src, opts, out)
    end)
    return Model.from(out)
end

-- The bytes that the model and n sessions would take, before it is opened. sessions: the options of Model:session().
function M.estimate(from, n, sessions, o)
    o = c.check_options(o, model_options, "estimate")
    local out = c.struct("remora_memory")
    local src, opts = source(from, o), model_struct(o)
    c.call(F.remora_model_estimate, runtime_of(o), src, opts, M.session_struct(sessions), n or 1, out)
    return c.table(out, "remora_memory")
end

function Model:info()
    return c.read(F.remora_model_get_info, self:handle(), "remora_model_info")
end

function Model:memory()
    return c.read(F.remora_model_get_memory, self:handle(), "remora_memory")
end

-- The runtime's numbers, also where the model has one of its own.
function Model:runtime_info()
    return c.read(F.remora_runtime_get_info, F.remora_model_runtime(self:handle()), "remora_runtime_info")
end

-- true: the ceilings hold; false: what runs holds more, which goes as it ends.
function Model:set_budget(host, device)
    return c.call(F.remora_model_set_budget, self:handle(), host or 0, device or 0) == V.REMORA_OK
end

-- What remora_model_meta() has under a key, or nil.
function Model:meta(key)
    local ok, got = pcall(c.chars, 256, function(out, cap, n)
        return c.try(F.remora_model_meta, self:handle(), key, out, cap, n)
    end, true)
    if ok then return got end
    if not c.is_error(got, "E_NOT_FOUND") then error(got, 0) end
end

-- Give f(i) for i = 0, 1, .. until it throws E_NOT_FOUND.
local function all_of(f)
    local all = {}
    while true do
        local ok, got = pcall(f, #all)
        if not ok then
            if c.is_error(got, "E_NOT_FOUND") then return all end
            error(got, 0)
        end
        all[#all + 1] = got
    end
end

function Model:meta_keys()
    return all_of(function(i)
        return c.chars(64, function(out, cap, n) return c.try(F.remora_model_meta_key, self:handle(), i, out, cap, n) end, true)
    end)
end

-- ---- text

local text_flags = {special = V.REMORA_TEXT_SPECIAL, bos = V.REMORA_TEXT_BOS}

-- A list of tokens. options: bos, special.
function Model:tokenize(text, o)
    local flags = c.flags(c.check_options(o, text_flags, "tokenize"), text_flags)
    return c.numbers("remora_token", #text + 8, function(out, cap, n)
        return c.try(F.remora_tokenize, self:handle(), text, #text, flags, out, cap, n)
    end)
end

local Detok = {}
Detok.__index = Detok

-- The text of the next tokens, in whole characters.
function Detok:push(tokens)
    local list, count = c.array("remora_token", tokens)
    return c.chars(64, function(out, cap, n)
        return c.try(F.remora_detok_push, self.model:handle(), self.state, list, count, out, cap, n)
    end)
end

function Detok:flush()
    return c.chars(64, function(out, cap, n) return c.try(F.remora_detok_flush, self.model:handle(), self.state, out, cap, n) end)
end

function Model:detok()
    return setmetatable({model = self, state = c.struct("remora_detok")}, Detok)
end

function Model:detokenize(tokens)
    local stream = self:detok()
    return stream:push(tokens) .. stream:flush()
end

function Model:token_bytes(token)
    return c.chars(64, function(out, cap, n) return c.try(F.remora_token_bytes, self:handle(), token, out, cap, n) end)
end

local token_bits = {control = V.REMORA_TOKEN_CONTROL, end_of_turn = V.REMORA_TOKEN_END_OF_TURN, partial = V.REMORA_TOKEN_PARTIAL}

-- A table with control, end_of_turn, partial.
function Model:token_flags(token)
    local bits, got = F.remora_token_flags(self:handle(), token), {}
    for name, bit in pairs(token_bits) do got[name] = math.floor(bits / bit) % 2 == 1 end
    return got
end

-- The id of "bos", "eos", "user", "fim_begin", ..; nil where the model has none.
function Model:special(word)
    local id = F.remora_token_special(self:handle(), c.word("remora_special_tokens", "REMORA_SPECIAL_", word))
    return id ~= V.REMORA_TOKEN_NONE and id or nil
end

function Model:end_tokens()
    return c.numbers("remora_token", 8, function(out, cap, n) return c.try(F.remora_end_tokens, self:handle(), out, cap, n) end)
end

-- ---- a hole in a text

local fim_options = {heal = true, max_tokens = true, prefix_share = true, suffix_share = true, repo = true, path = true, files = true}

local function fim_struct(o)
    local files = {}
    for i, file in ipairs(o.files or {}) do files[i] = {path = file.path, text = file.text} end
    local list, n = c.structs("remora_file", files)
    return c.struct("remora_fim_opts", {flags = o.heal and V.REMORA_FIM_HEAL or 0, max_tokens = o.max_tokens or 0,
        prefix_share = o.prefix_share or 0, suffix_share = o.suffix_share or 0, repo = o.repo or "", path = o.path or "",
        files = list, n_files = n})
end

-- The prompt for the text between prefix and suffix: tokens, heal (for Sampler:spell), stop (for generate), and the numbers of
-- remora_fim_info. options: heal, max_tokens, prefix_share, suffix_share, repo, path, files = {{path = .., text = ..}, ..}.
function Model:fim(prefix, suffix, o)
    o = c.check_options(o, fim_options, "fim")
    local info, opts = c.struct("remora_fim_info"), fim_struct(o)
    local tokens = c.numbers("remora_token", 1024, function(out, cap, n)
        return c.try(F.remora_fim, self:handle(), prefix, #prefix, suffix, #suffix, opts, out, cap, n, info)
    end)
    local got = c.table(info, "remora_fim_info")
    got.heal = c.bytes_of(info, "remora_fim_info", "heal", got.n_heal)
    got.tokens, got.is_cut, got.stop = tokens, got.is_cut == 1, self:fim_stop()
    return got
end

-- The names of the markers that end what fills a hole.
function Model:fim_stop()
    return all_of(function(i)
        local box = c.struct("remora_text")
        c.call(F.remora_fim_stop, self:handle(), i, box)
        return c.string(c.get(box, "remora_text", "ptr"), c.get(box, "remora_text", "len"))
    end)
end

-- ---- what tokens do inside

function Model:routing_enable(on)
    c.call(F.remora_routing_enable, self:handle(), on == false and 0 or 1)
end

-- How many tokens each expert of a layer got.
function Model:routing(layer, reset)
    return c.numbers("uint64_t", 512, function(out, cap, n)
        return c.try(F.remora_routing_read, self:handle(), layer, reset and 1 or 0, out, cap, n)
    end)
end

-- The weights that have sums of importance: tables with name, n_matrices, n_cols.
function Model:importance()
    return all_of(function(i)
        local box = c.struct("remora_importance")
        c.call(F.remora_importance_get, self:handle(), i, box)
        return c.table(box, "remora_importance")
    end)
end

-- The sums of a matrix of a weight (both from 0), and the number of tokens in them.
function Model:importance_sums(weight, matrix)
    local count = c.new("uint64_t", 1)
    local sums = c.numbers("double", 4096, function(out, cap, n)
        return c.try(F.remora_importance_read, self:handle(), weight, matrix or 0, count, out, cap, n)
    end)
    return sums, c.value(count, "uint64_t", 0)
end

-- ---- packs

local convert_options = {runtime = true, recipe = true, importance = true, base = true, zstd_level = true, cancel = true, progress = true,
    no_self_test = true}

-- Write a pack. options: recipe, importance (a path), base (the path of a pack, whose weights are taken as they are), zstd_level, no_self_test, progress, cancel, runtime.
function M.convert(from, path, o)
    o = c.check_options(o, convert_options, "convert")
    with_progress("remora_convert_opts", o.progress, function(user, callback)
        local src = source(from, o)
        local opts = c.struct("remora_convert_opts", {flags = o.no_self_test and V.REMORA_CONVERT_NO_SELF_TEST or 0,
            recipe = o.recipe, importance = o.importance, base = o.base, zstd_level = o.zstd_level or 0, cancel = o.cancel and o.cancel.word,
            progress_user = user, progress = callback})
        c.call(F.remora_convert, runtime_of(o), src, path, opts)
    end)
end

-- Compare a pack's checksums and run its self-test: the report, with names of statuses; or the error of what is wrong, with
-- the report in it.
function M.verify(from, o)
    o = c.check_options(o, {runtime = true, cancel = true, progress = true}, "verify")
    local out = c.struct("remora_verify_report")
    local ok, e = pcall(with_progress, "remora_verify_opts", o.progress, function(user, callback)
        local src = source(from, o)
        local opts = c.struct("remora_verify_opts", {cancel = o.cancel and o.cancel.word, progress_user = user, progress = callback})
        c.call(F.remora_verify, runtime_of(o), src, opts, out)
    end)
    local report = c.table(out, "remora_verify_report")
    report.checksums, report.self_test = c.status_name(report.checksums), c.status_name(report.self_test)
    report.exact = report.exact == 1
    if ok then return report end
    if c.is_error(e) then e.report = report end
    error(e, 0)
end

-- The built-in recipes: a table of names and YAML.
function M.recipes()
    local got = {}
    all_of(function(i)
        local name, yaml = c.new("const char *", 1), c.new("const char *", 1)
        c.call(F.remora_recipe_get, i, name, yaml)
        name = c.string(c.value(name, "const char *", 0))
        got[name] = c.string(c.value(yaml, "const char *", 0))
        return name
    end)
    return got
end

M.all_of = all_of
return M
