// SPDX-License-Identifier: Apache-2.0
// A character of a game: what it says grows by a call of 2 ms in each frame, and the frame goes on.
//
//     mono Npc.exe MODEL
using System;
using Remora;

static class Npc
{
    static int Main(string[] arguments)
    {
        using (var model = new Model(arguments[0]))
        using (var mind = new Session(model))
        using (var sampler = new Sampler(model, 42).Temperature(0.7)) {
            mind.Append(model.Tokenize("It was market day. The smith said, \"", bos: true));
            var speech = mind.Generate(sampler, maxTokens: 60, stop: new[] {"\""});
            var frames = 0;
            for (; !speech.Done; frames++) Console.Write(speech.Step(budgetUs: 2000)); // a frame: then the game draws
            Console.WriteLine("\n" + frames + " frames, " + speech.Tokens.Count + " tokens");
            return 0;
        }
    }
}
