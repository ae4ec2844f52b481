-- SPDX-License-Identifier: Apache-2.0
-- Remora for Lua: DeepSeek-family language models inside a Lua program, on LuaJIT and on Lua 5.4. README.md shows its use; the
-- manual of what calls mean is the header, remora.h.
local c = require "remora.c"
local model = require "remora.model"
local session = require "remora.session"
require "remora.sampler"
local chat = require "remora.chat"
local F = c.F
if rawget(_G, "jit") then jit.off(true, true) end

if F.remora_abi_check(c.abi.version) < 0 then
    error(("the library is of release %s; this binding needs %s"):format(c.text(F.remora_version_string()), c.abi.release))
end

return {
    open = model.open, estimate = model.estimate, runtime = model.runtime, convert = model.convert, verify = model.verify,
    recipes = model.recipes, chat_formats = chat.chat_formats, eval = session.eval,
    cancel = session.cancel, cancel_at = session.cancel_at, session_at = session.session_at, model_at = model.Model.at,
    is_error = c.is_error, values = c.values,
    version = function() return F.remora_version() end,
    version_string = function() return c.text(F.remora_version_string()) end,
    build_info = function() return c.text(F.remora_build_info()) end,
}
