-- SPDX-License-Identifier: Apache-2.0
-- C for plain Lua 5.4: memory, fields, calls and callbacks, by the C module remora.core. ffi.lua is the same for LuaJIT.
--
-- Memory is a userdata, a pointer a light one. Indices begin with 0.
local abi = require "remora.abi"
local core = require "remora.core"

local low = {F = core.calls, string = core.string, copy = core.copy, free = core.free, address = core.address}

local codes = {char = "c", uint8_t = "c", int32_t = "i", uint32_t = "I", int64_t = "l", uint64_t = "l", size_t = "l", float = "f",
    double = "d"}
local sizes = {c = 1, i = 4, I = 4, l = 8, f = 4, d = 8, p = 8}

local function code_of(ctype)
    if ctype:sub(-1) == "*" or ctype == "callback" then return "p" end
    return codes[abi.types[ctype] or ctype]
end

local function size_of(ctype)
    local struct = abi.structs[ctype]
    return struct and struct.size or sizes[code_of(ctype)]
end

function low.new(ctype, n)
    return core.new(size_of(ctype) * n)
end

function low.value(box, ctype, i)
    return core.get(box, i * size_of(ctype), code_of(ctype))
end

function low.put(box, ctype, i, x)
    core.set(box, i * size_of(ctype), code_of(ctype), x)
end

function low.get(box, name, field, i)
    local at = i * abi.structs[name].size + field.at
    if field.type == "remora_text" then
        local p, n = core.get(box, at, "p"), core.get(box, at + 8, "l")
        return p and core.string(p, n) or ""
    end
    if field.type == "char" then return core.string_at(box, at, field.length):match("^[^%z]*") end
    if field.length then return core.string_at(box, at, field.length * size_of(field.type)) end
    return core.get(box, at, code_of(field.type))
end

function low.set(box, name, field, i, _, x)
    local at = i * abi.structs[name].size + field.at
    if field.type == "remora_text" then
        core.set(box, at, "p", x)
        core.set(box, at + 8, "l", #x)
    else
        core.set(box, at, code_of(field.type), x)
    end
end

function low.text(s) -- a call gives const char * as a string
    return s
end

function low.bytes_of(box, field, n)
    return core.string_at(box, field.at, n)
end

-- A handle, which the collector frees.
function low.own(pointer, _, name)
    return core.own(pointer, name .. "_free")
end

function low.pointer(address)
    return core.pointer(address)
end

function low.callback(name, _, handler)
    core.handlers[name] = handler
    return core.trampolines[name]
end

return low
