/* SPDX-License-Identifier: Apache-2.0 */
#include "chat_markers.h"

static const char *const markers[] = {
    "<think>",
    "</think>",
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<｜System｜>",
    "｜DSML｜",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁outputs▁begin｜>",
    "<｜tool▁outputs▁end｜>",
    "<｜tool▁output▁begin｜>",
    "<｜tool▁output▁end｜>",
    "<|im_system|>",
    "<|im_user|>",
    "<|im_assistant|>",
    "<|im_middle|>",
    "<|im_end|>",
    "<|im_start|>",
    "[EOS]",
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<|tool_call_begin|>",
    "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
    "[gMASK]",
    "<sop>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|observation|>",
    "<|endoftext|>",
    "<tool_call>",
    "</tool_call>",
    "<arg_key>",
    "</arg_key>",
    "<arg_value>",
    "</arg_value>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
};
enum { N_MARKERS = sizeof markers / sizeof markers[0], VOCAB = 340 };

void chat_markers_begin(world *w)
{
    world_begin(w, &(world_opts){.model.vocab = VOCAB, .added = markers, .n_added = N_MARKERS});
}

size_t chat_markers_bytes(const char *text, remora_token *t)
{
    size_t n = 0;
    while (*text != 0) {
        size_t len = 1;
        t[n] = (unsigned char)*text;
        for (size_t i = 0; i < N_MARKERS; i++)
            if (strncmp(text, markers[i], strlen(markers[i])) == 0) {
                t[n] = TINY_TEXT_VOCAB + (remora_token)i;
                len = strlen(markers[i]);
            }
        text += len;
        n++;
    }
    return n;
}
