-- SPDX-License-Identifier: Apache-2.0
-- Reads JSON, as far as the tests need it. decode(text, raw): members whose names are in `raw` stay text.
local json = {}
local escapes = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/"}
local words = {["true"] = true, ["false"] = false, null = nil}

local function utf8_of(code)
    if code < 0x80 then return string.char(code) end
    local more, first = {}, 0x40
    repeat
        table.insert(more, 1, string.char(0x80 + code % 0x40))
        code, first = math.floor(code / 0x40), first / 2
    until code < first
    return string.char((0x100 - first * 2) + code) .. table.concat(more)
end

local function string_at(s, at)
    local out = {}
    at = at + 1
    while true do
        local from, to = s:find('^[^"\\]+', at)
        if from then
            out[#out + 1], at = s:sub(from, to), to + 1
        elseif s:sub(at, at) == '"' then
            return table.concat(out), at + 1
        elseif s:sub(at + 1, at + 1) == "u" then
            local code = tonumber(s:sub(at + 2, at + 5), 16)
            at = at + 6
            if code >= 0xD800 and code < 0xDC00 then
                code = 0x10000 + (code - 0xD800) * 0x400 + tonumber(s:sub(at + 2, at + 5), 16) - 0xDC00
                at = at + 6
            end
            out[#out + 1] = utf8_of(code)
        else
            out[#out + 1], at = escapes[s:sub(at + 1, at + 1)], at + 2
        end
    end
end

local value_at

local function skip(s, at)
    return s:find("[^ \t\r\n]", at)
end

local function list_at(s, at, raw)
    local list = {}
    at = skip(s, at + 1)
    while s:sub(at, at) ~= "]" do
        local x
        x, at = value_at(s, at, raw)
        list[#list + 1] = x
        at = skip(s, at)
        if s:sub(at, at) == "," then at = skip(s, at + 1) end
    end
    return list, at + 1
end

local function object_at(s, at, raw)
    local object = {}
    at = skip(s, at + 1)
    while s:sub(at, at) ~= "}" do
        local key, x
        key, at = string_at(s, at)
        at = skip(s, skip(s, at) + 1) -- behind the colon
        local from = at
        x, at = value_at(s, at, raw)
        if raw[key] then x = s:sub(from, at - 1) end
        object[key] = x
        at = skip(s, at)
        if s:sub(at, at) == "," then at = skip(s, at + 1) end
    end
    return object, at + 1
end

function value_at(s, at, raw)
    at = skip(s, at)
    local first = s:sub(at, at)
    if first == "{" then return object_at(s, at, raw) end
    if first == "[" then return list_at(s, at, raw) end
    if first == '"' then return string_at(s, at) end
    local from, to = s:find("^[%w.+-]+", at)
    local word = s:sub(from, to)
    local number = tonumber(word)
    if number == nil then return words[word], to + 1 end
    return number, to + 1
end

function json.decode(s, raw)
    return (value_at(s, 1, raw or {}))
end

function json.read(path, raw)
    local f = assert(io.open(path, "rb"))
    local s = f:read("*a")
    f:close()
    return json.decode(s, raw)
end

return json
