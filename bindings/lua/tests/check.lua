-- SPDX-License-Identifier: Apache-2.0
-- What the tests say of values, and how they run.
local check = {}

-- A value as text, the members of a table in order.
function check.text(x)
    if type(x) ~= "table" then return type(x) == "string" and ("%q"):format(x) or tostring(x) end
    local parts, keys = {}, {}
    for i = 1, #x do parts[i] = check.text(x[i]) end
    for key in pairs(x) do
        if type(key) ~= "number" then keys[#keys + 1] = tostring(key) end
    end
    table.sort(keys)
    for _, key in ipairs(keys) do parts[#parts + 1] = key .. " = " .. check.text(x[key]) end
    return "{" .. table.concat(parts, ", ") .. "}"
end

-- Whether two values are the same in all their members; numbers by their value.
function check.same(a, b)
    if type(a) ~= "table" or type(b) ~= "table" then return a == b end
    for key, x in pairs(a) do
        if not check.same(x, b[key]) then return false end
    end
    for key in pairs(b) do
        if a[key] == nil then return false end
    end
    return true
end

function check.equal(got, wanted)
    if not check.same(got, wanted) then error("gives " .. check.text(got) .. "\n  wanted " .. check.text(wanted), 2) end
end

-- f(...) throws an error of the library with this status and words in its message; or, without a status, any error with them.
function check.throws(status, words, f, ...)
    local ok, e = pcall(f, ...)
    if ok then error("throws nothing", 2) end
    local found = status and type(e) == "table" and e.status or nil
    if found ~= status or not tostring(e):find(words, 1, true) then error("throws " .. tostring(e), 2) end
    return e
end

-- Run all tests of a table of functions, in the order of their names. The number of those that fail.
function check.run(tests)
    local names, bad = {}, 0
    for name in pairs(tests) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
        local ok, e = xpcall(tests[name], function(e) return debug.traceback(tostring(e), 2) end)
        if not ok then
            bad = bad + 1
            print(name .. ": " .. e)
        end
    end
    print(("%d tests, %d fail"):format(#names, bad))
    return bad == 0 and #names > 0
end

return check
