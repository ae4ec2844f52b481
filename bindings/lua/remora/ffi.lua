-- SPDX-License-Identifier: Apache-2.0
-- C for LuaJIT: memory, fields, calls and callbacks, by its FFI. plain.lua is the same for plain Lua.
--
-- Memory is cdata, and so are pointers. Indices begin with 0.
local ffi = require "ffi"
local abi = require "remora.abi"

-- A callback must not come from compiled code, and what a call uses must stay in its caller's frame.
require "jit".off(true, true)

ffi.cdef(abi.cdef)
local names = {OSX = "libremora.1.dylib", Windows = "libremora-1.dll"}
local C = ffi.load(os.getenv("REMORA_LIBRARY") or names[ffi.os] or "libremora.so.1")

local low = {F = C}

function low.new(ctype, n)
    return ffi.new(ctype .. "[?]", n)
end

-- A Lua number of what is one in C; 64 bits are exact up to 2^53.
local function number(x)
    return type(x) == "cdata" and tonumber(x) or x
end

function low.value(box, ctype, i)
    local x = box[i]
    if ctype:sub(-1) == "*" then
        if x == nil then return nil end
        return x
    end
    return number(x)
end

function low.put(box, _, i, x)
    box[i] = x
end

function low.get(box, _, field, i, name)
    local x = box[i][name]
    if field.type == "remora_text" then return ffi.string(x.ptr, x.len) end
    if field.type == "char" then return ffi.string(x) end
    if field.length then return ffi.string(x, ffi.sizeof(x)) end
    if field.type:sub(-1) == "*" then
        if x == nil then return nil end
        return x
    end
    return number(x)
end

function low.set(box, _, field, i, name, x)
    if field.type == "remora_text" then
        box[i][name].ptr, box[i][name].len = x, #x
    else
        box[i][name] = x
    end
end

-- n bytes, or up to the NUL.
function low.string(pointer, n)
    return ffi.string(pointer, n)
end

low.text = low.string -- of what a call gives as const char *

function low.bytes_of(box, field, n, name)
    return ffi.string(box[0][name], n)
end

function low.copy(box, s)
    ffi.copy(box, s, #s)
end

-- A handle, which the collector gives back to `free`.
function low.own(pointer, free)
    return ffi.gc(pointer, free)
end

function low.free(handle, free)
    free(ffi.gc(handle, nil))
end

function low.address(pointer)
    return tonumber(ffi.cast("uintptr_t", ffi.cast("const void *", pointer)))
end

function low.pointer(address, ctype)
    return ffi.cast(ctype, ffi.cast("void *", ffi.cast("uintptr_t", address)))
end

local made = {}

-- The C function for the callback `struct.field`. There is one of each; `user` says whose it is.
function low.callback(name, field, handler)
    if not made[name] then
        local pointer = field.pointer
        local function call(user, ...)
            return handler(low.address(user), ...)
        end
        made[name] = ffi.cast(pointer, call)
    end
    return made[name]
end

return low
