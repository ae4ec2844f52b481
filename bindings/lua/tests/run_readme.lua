-- SPDX-License-Identifier: Apache-2.0
-- Every block of Lua in a document runs, one after the other, in the root of the repository.
--
--     run_readme.lua DOCUMENT
local blocks, inside, n = {}, false, 0
for line in io.lines(arg[1]) do
    if line:match("^```") then
        inside = line == "```lua"
        n = n + (inside and 1 or 0)
        line = ""
    end
    blocks[#blocks + 1] = inside and line or ""
end
assert((loadstring or load)(table.concat(blocks, "\n"), "@" .. arg[1]))()
print(("\n%s: %d blocks ran"):format(arg[1], n))
assert(n > 0)
