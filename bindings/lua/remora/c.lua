-- SPDX-License-Identifier: Apache-2.0
-- What every call of the library needs, on LuaJIT and on plain Lua: structs, arrays, errors, handles, callbacks.
local abi = require "remora.abi"
local low = require(rawget(_G, "jit") and "remora.ffi" or "remora.plain")
if rawget(_G, "jit") then jit.off(true, true) end

local F = low.F
local c = {F = F, values = abi.values, abi = abi, value = low.value, new = low.new, string = low.string, text = low.text,
    put = low.put, copy = low.copy, address = low.address,
    pointer = low.pointer}
local V = abi.values
local unpack = rawget(_G, "unpack") or table.unpack

-- ---- words: a value of the header is a word in Lua, "end_of_turn" for REMORA_REASON_END_OF_TURN

-- The value of a word of an enum, or an error that lists its words. nil is 0.
function c.word(enum, prefix, word)
    if word == nil then return 0 end
    local found = type(word) == "string" and V[prefix .. word:upper()]
    if found then return found end
    local all = {}
    for _, name in ipairs(abi.enums[enum]) do
        if name:sub(1, #prefix) == prefix then all[#all + 1] = name:sub(#prefix + 1):lower() end
    end
    error(("%s is none of %s"):format(tostring(word), table.concat(all, ", ")), 0)
end

function c.word_of(enum, prefix, value)
    for _, name in ipairs(abi.enums[enum]) do
        if V[name] == value then return name:sub(#prefix + 1):lower() end
    end
end

-- The sum of the flags whose names are true in a table: flags(o, {bos = V.REMORA_TEXT_BOS}).
function c.flags(o, known)
    local sum = 0
    for name, bit in pairs(known) do
        if o and o[name] then sum = sum + bit end
    end
    return sum
end

-- Options that a function does not have are an error and not silence.
function c.check_options(o, known, what)
    for name in pairs(o or {}) do
        if not known[name] then error(("%s has no option %s"):format(what, tostring(name)), 3) end
    end
    return o or {}
end

-- ---- structs

-- What a struct points to lives as long as the struct.
local held = setmetatable({}, {__mode = "k"})

local function hold(box, x)
    local list = held[box]
    if not list then
        list = {}
        held[box] = list
    end
    list[#list + 1] = x
end

local function fill(box, name, i, fields)
    local struct = abi.structs[name]
    for key, x in pairs(fields) do
        local field = struct.fields[key]
        if not field then error(name .. " has no field " .. tostring(key), 0) end
        if type(x) == "boolean" then x = x and 1 or 0 end
        if type(x) ~= "number" then hold(box, x) end
        low.set(box, name, field, i, key, x)
    end
end

-- A struct with these fields and its struct_size; strings are texts or names, as the field wants them.
function c.struct(name, fields)
    local box = low.new(name, 1)
    if abi.structs[name].fields.struct_size then c.set(box, name, "struct_size", abi.structs[name].size) end
    fill(box, name, 0, fields or {})
    return box
end

-- An array of structs, or nil of none.
function c.structs(name, list)
    if not list or #list == 0 then return nil, 0 end
    local box = low.new(name, #list)
    for i, fields in ipairs(list) do
        if abi.structs[name].fields.struct_size then fields.struct_size = abi.structs[name].size end
        fill(box, name, i - 1, fields)
    end
    return box, #list
end

function c.set(box, name, key, x)
    if type(x) ~= "number" then hold(box, x) end
    low.set(box, name, abi.structs[name].fields[key], 0, key, x)
end

function c.set_at(box, name, key, i, x)
    low.set(box, name, abi.structs[name].fields[key], i, key, x)
end

function c.get(box, name, key, i)
    return low.get(box, name, abi.structs[name].fields[key], i or 0, key)
end

-- The bytes of an array of chars that has no NUL at its end.
function c.bytes_of(box, name, key, n)
    return low.bytes_of(box, abi.structs[name].fields[key], n, key)
end

-- All that a struct says, as a table.
function c.table(box, name, i)
    local got = {}
    for key, field in pairs(abi.structs[name].fields) do
        if key ~= "struct_size" and key ~= "reserved" and field.type ~= "callback" then got[key] = c.get(box, name, key, i) end
    end
    return got
end

-- ---- arrays of numbers

-- A Lua list as an array of C; nil of none.
function c.array(ctype, list)
    local n = #list
    if n == 0 then return nil, 0 end
    local box = low.new(ctype, n)
    for i = 1, n do low.put(box, ctype, i - 1, list[i]) end
    return box, n
end

function c.list(box, ctype, n)
    local list = {}
    for i = 1, n do list[i] = low.value(box, ctype, i - 1) end
    return list
end

function c.texts(list)
    local all = {}
    for i, s in ipairs(list or {}) do all[i] = {ptr = s, len = #s} end
    return c.structs("remora_text", all)
end

-- Options of `extra`, from a table of strings.
function c.extra(pairs_of)
    local all = {}
    for key, value in pairs(pairs_of or {}) do all[#all + 1] = {key = key, value = value} end
    return c.structs("remora_option", all)
end

-- ---- errors

local Error = {}
Error.__index = Error
Error.__tostring = function(e) return e.status .. ": " .. e.message end

function c.status_name(status)
    return low.text(F.remora_status_name(status))
end

local said = c.struct("remora_error")
local raised -- what a callback in Lua has thrown, for the call that it happened in

function c.error(status)
    local e = setmetatable({status = c.status_name(status), message = "", os_code = 0}, Error)
    if status == c.get(said, "remora_error", "code") then
        e.message, e.os_code = c.get(said, "remora_error", "message"), c.get(said, "remora_error", "os_code")
    end
    return e
end

-- Is it an error of the library, and of that status ("E_FULL") where one is given?
function c.is_error(e, status)
    return getmetatable(e) == Error and (status == nil or e.status == status)
end

-- Call a function of the library whose last parameter is an error, and give its status. What a callback threw is thrown here.
function c.try(f, ...)
    local n = select("#", ...)
    local words = {...}
    words[n + 1] = said
    c.set(said, "remora_error", "code", 0)
    local status = f(unpack(words, 1, n + 1))
    if raised then
        local e = raised.error
        raised = nil
        error(e, 0)
    end
    return status
end

-- The same; a status that is an error is thrown.
function c.call(f, ...)
    local status = c.try(f, ...)
    if status < 0 then error(c.error(status), 0) end
    return status
end

-- Call f(out, cap, n) until what it gives fits. The list of what it gave, and its status.
function c.numbers(ctype, cap, f)
    local n = low.new("size_t", 1)
    while true do
        local out = low.new(ctype, cap)
        local status = f(out, cap, n)
        local given = low.value(n, "size_t", 0)
        if status >= 0 then return c.list(out, ctype, given) end
        if status ~= V.REMORA_E_BUFFER or given <= cap then error(c.error(status), 0) end
        cap = given
    end
end

-- The same for text. terminated: cap counts a NUL, which *n does not.
function c.chars(cap, f, terminated)
    local n = low.new("size_t", 1)
    while true do
        local out = low.new("char", cap)
        local status = f(out, cap, n)
        local given = low.value(n, "size_t", 0)
        if status >= 0 then return low.string(out, given) end
        if status ~= V.REMORA_E_BUFFER then error(c.error(status), 0) end
        cap = given + (terminated and 1 or 0)
    end
end

-- ---- handles

-- A class whose objects are handles that `free` gives back: by the collector, or by close().
function c.class(what, name, free)
    local class = {}
    class.__index = class
    class.__tostring = function(self) return what .. (self._handle and "" or " (closed)") end

    -- Give it back now. Twice is fine, and so is any order.
    function class:close()
        local handle = self._handle
        self._handle = nil
        if handle and not self._borrowed then low.free(handle, free) end
    end

    function class:handle()
        return self._handle or error("this " .. what .. " is closed", 3)
    end

    -- The handle as a number, for another Lua state of this process: `at` makes an object there that does not own it.
    function class:address()
        return low.address(self:handle())
    end

    -- An object around the handle that a call has put into a box.
    function class.from(box, fields)
        local self = setmetatable(fields or {}, class)
        self._handle = low.own(low.value(box, class.pointer, 0), free, name)
        return self
    end

    function class.at(address, fields)
        local self = setmetatable(fields or {}, class)
        self._handle, self._borrowed = low.pointer(address, class.pointer), true
        return self
    end

    class.pointer = name .. " *"

    function class.box()
        return low.new(class.pointer, 1)
    end

    class.__close = class.close -- of Lua 5.4: local session <close> = ..
    return class
end

-- The struct that a function writes about a handle, as a table.
function c.read(f, handle, name)
    local box = c.struct(name)
    c.call(f, handle, box)
    return c.table(box, name)
end

-- ---- callbacks

local kept, last = {}, 0

-- Keep a value until the library releases it. The number is the `user` of its callbacks.
local function keep(x)
    last = last + 1
    kept[last] = x
    return last
end

-- How the library's callbacks reach Lua. Each gets what was kept, and the others that C passes.
local handlers = {}

-- Run a function of the program. What it throws is kept for the call that it happens in, and the library gets `failure`.
local function guarded(failure, f, ...)
    local ok, got = pcall(f, ...)
    if ok then return got or 0 end
    raised = raised or {error = got}
    return failure
end

handlers["remora_stage.fn"] = function(user, candidates, n)
    return guarded(V.REMORA_E_CALLBACK, kept[user].stage, candidates, n)
end
local function progress(user, done, total)
    return guarded(1, kept[user].progress, tonumber(done), tonumber(total))
end
handlers["remora_model_opts.progress"] = progress
handlers["remora_convert_opts.progress"] = progress
handlers["remora_verify_opts.progress"] = progress
handlers["remora_runtime_opts.log"] = function(user, level, message, n)
    guarded(0, kept[user].log, tonumber(level), low.string(message, tonumber(n)))
end
handlers["remora_source.io_size"] = function(user, name, size)
    return guarded(V.REMORA_E_CALLBACK, kept[user].io_size, low.string(name), size)
end
handlers["remora_source.io_read"] = function(user, name, offset, into, n)
    return guarded(V.REMORA_E_CALLBACK, kept[user].io_read, low.string(name), tonumber(offset), into, tonumber(n))
end
local function release(user)
    kept[user] = nil
end
for _, name in ipairs {"remora_stage", "remora_source", "remora_runtime_opts"} do handlers[name .. ".release"] = release end

function c.callback(struct, key)
    local name = struct .. "." .. key
    return low.callback(name, abi.structs[struct].fields[key], handlers[name])
end

-- `user` and, where the struct has one, `release` for what its callbacks use: put these into the fields.
function c.kept(x)
    return low.pointer(keep(x), "void *")
end

-- Keep x for one call f(user), which has no release.
function c.while_kept(x, f)
    local user = keep(x)
    local ok, got = pcall(f, low.pointer(user, "void *"))
    kept[user] = nil
    if not ok then error(got, 0) end
    return got
end

function c.n_kept()
    local n = 0
    for _ in pairs(kept) do n = n + 1 end
    return n
end

return c
