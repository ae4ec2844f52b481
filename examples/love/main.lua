-- SPDX-License-Identifier: Apache-2.0
-- A village in LÖVE whose people talk while the game runs: the model gets 2 ms of each frame, and no frame more.
--
--     REMORA_LIBRARY=build/lib/libremora.so.1 love examples/love MODEL [FRAMES REPORT SCREENSHOT]
--
-- The world's text is evaluated once; everybody is a fork of it and shares its cache. One call a frame serves all, and where the
-- budget ends in the middle of a step, the next frame goes on there. With FRAMES it writes the times of the frames to REPORT, a
-- picture to SCREENSHOT, and ends.
local source = love.filesystem.getSource()
local binding = os.getenv("REMORA_LUA") or source .. "/../../bindings/lua"
package.path = binding .. "/?.lua;" .. binding .. "/?/init.lua;" .. package.path
local remora = require "remora"

local BUDGET_US = 2000
local WORLD = "The village lay between the river and the old forest. It was market day, and everybody was in the square: " ..
    "the baker with his bread, the smith with his knives, the old woman who knew all the stories, and a little girl who " ..
    "had lost her cat."
local PEOPLE = {
    {name = "The baker", x = 110, color = {0.85, 0.6, 0.3}}, {name = "The smith", x = 300, color = {0.45, 0.5, 0.6}},
    {name = "The old woman", x = 490, color = {0.6, 0.4, 0.6}}, {name = "The little girl", x = 680, color = {0.85, 0.4, 0.45}},
}
local frames, report, screenshot -- of a run that is measured
local minds = {}
local times, calls, seen, angle = {}, 0, 0, 0

local function wake(person, world, model, seed)
    person.mind, person.sampler = world:fork(), model:sampler(seed):temperature(0.8)
    person.detok, person.said, person.tokens = model:detok(), "", 0
    person.mind:append_text(" " .. person.name .. " said, \"")
end

function love.load(arguments)
    local model = remora.open(arguments[1])
    frames, report, screenshot = tonumber(arguments[2]), arguments[3], arguments[4]
    local world = model:session()
    world:append_text(WORLD)
    world:eval() -- while the level loads
    for i, person in ipairs(PEOPLE) do
        wake(person, world, model, i)
        minds[i] = person.mind
    end
    love.graphics.setFont(love.graphics.newFont(13))
end

-- Everybody's tokens are evaluated: the next word of each.
local function speak(person)
    local info = person.mind:info()
    if info.n_rows == 0 or info.committed + 1 >= info.capacity then return end
    local token = person.sampler:pick(person.mind)
    person.sampler:accept(token)
    person.mind:append {token}
    person.said, person.tokens = person.said .. person.detok:push {token}, person.tokens + 1
end

function love.update(dt)
    angle = angle + dt
    local before = love.timer.getTime()
    if remora.eval(minds, {budget_us = BUDGET_US}) then
        for _, person in ipairs(PEOPLE) do speak(person) end
    end
    calls = calls + 1
    times[#times + 1] = (love.timer.getTime() - before) * 1000
end

local function draw_person(person)
    local y = 330 + 4 * math.sin(angle * 3 + person.x)
    love.graphics.setColor(person.color)
    love.graphics.rectangle("fill", person.x - 22, y, 44, 60, 10)
    love.graphics.circle("fill", person.x, y - 18, 18)
    love.graphics.setColor(0.1, 0.1, 0.1)
    love.graphics.printf(person.name, person.x - 80, 405, 160, "center")
    local _, lines = love.graphics.getFont():getWrap(person.said, 150)
    local first = math.max(1, #lines - 11)
    local text = table.concat(lines, "\n", first)
    local high = (#lines - first + 1) * 16 + 12
    love.graphics.setColor(1, 1, 1, 0.92)
    love.graphics.rectangle("fill", person.x - 85, 290 - high, 170, high, 8)
    love.graphics.setColor(0.1, 0.1, 0.1)
    love.graphics.printf(text, person.x - 77, 296 - high, 154)
end

local function at(share)
    local sorted = {unpack(times)}
    table.sort(sorted)
    return sorted[math.max(1, math.ceil(#sorted * share))]
end

-- What the suite reads: a line for each number, and what everybody said.
local function write_report()
    local f = assert(io.open(report, "w"))
    f:write(("frames %d\ncalls %d\nbudget_ms %.1f\n"):format(seen, calls, BUDGET_US / 1000))
    f:write(("median_ms %.2f\nmost_of_100_ms %.2f\nlongest_ms %.2f\n"):format(at(0.5), at(0.99), at(1)))
    for _, person in ipairs(PEOPLE) do
        f:write(("said %d tokens: %s: %s\n"):format(person.tokens, person.name, (person.said:gsub("\n", " "))))
    end
    f:close()
end

function love.draw()
    seen = seen + 1
    love.graphics.clear(0.62, 0.78, 0.88)
    love.graphics.setColor(0.5, 0.68, 0.4)
    love.graphics.rectangle("fill", 0, 370, 800, 80)
    for _, person in ipairs(PEOPLE) do draw_person(person) end
    love.graphics.setColor(0.1, 0.1, 0.1)
    love.graphics.print(("%d frames a second, the model's part of this one %.1f ms"):format(love.timer.getFPS(), times[#times] or 0),
        10, 430)
    if not frames or seen < frames then return end
    frames = nil
    write_report()
    love.graphics.captureScreenshot(function(image)
        local f = assert(io.open(screenshot, "wb"))
        f:write(image:encode("png"):getString())
        f:close()
        love.event.quit()
    end)
end
