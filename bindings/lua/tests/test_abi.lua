-- SPDX-License-Identifier: Apache-2.0
-- The binding has what the description of the interface has: every value, function and field, where C has it; and a function or
-- field that either of them lacks is found.
--
--     test_abi.lua SOURCE_ROOT
local root = arg[1]
local c = require "remora.c"
local json, check = require "json", require "check"
local path = root .. "/include/remora/remora.abi.json"

local function problems_of_functions(description, abi)
    local problems, here = {}, {}
    for _, name in ipairs(abi.functions) do here[name] = true end
    for _, f in ipairs(description.functions) do
        if not here[f.name] then problems[#problems + 1] = "the binding has no " .. f.name end
        if not pcall(function() return assert(c.F[f.name]) end) then problems[#problems + 1] = "no library has " .. f.name end
        here[f.name] = nil
    end
    for name in pairs(here) do problems[#problems + 1] = "the description has no " .. name end
    return problems
end

local function problems_of_fields(s, struct, problems)
    local here = {}
    for name in pairs(struct.fields) do here[name] = true end
    for _, f in ipairs(s.fields) do
        local field = struct.fields[f.name]
        if not field or field.type ~= f.type or field.at ~= f.offset or field.length ~= f.length then
            problems[#problems + 1] = "the binding has another " .. s.name .. "." .. f.name
        end
        here[f.name] = nil
    end
    for name in pairs(here) do problems[#problems + 1] = "the description has no " .. s.name .. "." .. name end
end

local function problems_of(description, abi)
    local problems = problems_of_functions(description, abi)
    for _, s in ipairs(description.structs) do
        local struct = abi.structs[s.name]
        if not struct or struct.size ~= s.size then
            problems[#problems + 1] = "the binding has another " .. s.name
        else
            problems_of_fields(s, struct, problems)
        end
    end
    for _, e in ipairs(description.enums) do
        for _, v in ipairs(e.values) do
            if abi.values[v.name] ~= v.value then problems[#problems + 1] = "the binding has another " .. v.name end
        end
    end
    return problems
end

-- The description, changed by f.
local function changed(f)
    local description = json.read(path)
    f(description)
    return problems_of(description, c.abi)
end

local tests = {}

function tests.the_binding_has_all_of_it()
    check.equal(problems_of(json.read(path), c.abi), {})
end

function tests.what_is_missing_is_found()
    check.equal(changed(function(d) table.remove(d.functions, 3) end), {"the description has no " .. c.abi.functions[3]})
    check.equal(changed(function(d) table.insert(d.functions, {name = "remora_x"}) end),
        {"the binding has no remora_x", "no library has remora_x"})
    check.equal(changed(function(d) table.remove(d.structs[1].fields, 2) end), {"the description has no remora_error.code"})
    check.equal(changed(function(d) d.structs[1].fields[2].offset = 8 end), {"the binding has another remora_error.code"})
    check.equal(changed(function(d) d.enums[1].values[2].value = 9 end), {"the binding has another REMORA_MORE"})
end

-- What the running Lua makes of the declarations: for LuaJIT the layout of its own FFI.
function tests.the_layout_is_that_of_c()
    for name, struct in pairs(c.abi.structs) do
        if rawget(_G, "jit") then
            local ffi = require "ffi"
            check.equal({name, ffi.sizeof(name), ffi.alignof(name)}, {name, struct.size, struct.align})
            for key, field in pairs(struct.fields) do check.equal({key, ffi.offsetof(name, key)}, {key, field.at}) end
        end
        if struct.fields.struct_size then check.equal(c.get(c.struct(name), name, "struct_size"), struct.size) end
    end
end

os.exit(check.run(tests), true)
