-- SPDX-License-Identifier: Apache-2.0
function love.conf(t)
    t.identity = "remora-npc"
    t.window.title = "Remora: characters that think 2 ms a frame"
    t.window.width, t.window.height = 800, 450
    t.modules.audio, t.modules.joystick, t.modules.physics, t.modules.sound = false, false, false, false
end
