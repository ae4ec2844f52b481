/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a request of OpenAI's API: a conversation or a status, then a prompt of any chat
 * format or a status. What a prompt has of markup lies in it in order, a conversation takes a
 * second request or stays as it was, and JSON that is printed prints again alike. The first two
 * bytes say which chat format, and how it is asked. */
#include <stdlib.h>
#include <string.h>

#include "json_text.h"
#include "render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) abort();
}

static void render(const rmr_conversation *c, const rmr_chat_format *f, uint8_t how)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_chat_wish wish = c->wish;
    rmr_chat_writer w = {.mem = c->mem, .err = &err};
    int begin = -1;
    size_t at = 0;
    wish.as_template = how & 1;
    const remora_status st = rmr_chat_render(c, &wish, f, NULL, &w, &begin);
    require(st == REMORA_OK || st == REMORA_E_ARG || st == REMORA_E_UNSUPPORTED);
    require(st == w.status);
    for (size_t i = 0; i < w.n_markup; i++) {
        require(w.markup[i].begin >= at && w.markup[i].end > w.markup[i].begin);
        at = w.markup[i].end;
        require(at <= w.n);
    }
    if (st >= 0) require(begin >= RMR_BEGIN_ANSWER && begin <= RMR_BEGIN_CALLS);
    rmr_chat_writer_free(&w);
}

/* The document printed is JSON, and printed once more it is the same. */
static void print_twice(rmr_mem *mem, const char *text, size_t n)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_json_span v;
    rmr_chat_writer once = {.mem = mem, .err = &err}, twice = {.mem = mem, .err = &err};
    if (rmr_json_text_check("x", text, n, &v, &err) < 0) return;
    rmr_json_text_print(&once, v, 0);
    require(rmr_json_text_check("x", once.text, once.n, &v, &err) >= 0);
    rmr_json_text_print(&twice, v, 0);
    require(once.n == twice.n && memcmp(once.text, twice.text, once.n) == 0);
    rmr_chat_writer_free(&once);
    rmr_chat_writer_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n_formats;
    const rmr_chat_format *all = rmr_chat_formats(&n_formats);
    rmr_mem mem = {0};
    rmr_conversation c;
    remora_error err = {.struct_size = sizeof err};
    if (size < 2) return 0;
    const char *text = (const char *)data + 2;
    const size_t n = size - 2;
    rmr_mem_init(&mem);
    rmr_conversation_init(&c, &mem);
    const remora_status st = rmr_conversation_add_json(&c, text, n, &err);
    require(st == REMORA_OK || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED ||
            st == REMORA_E_LIMIT);
    if (st < 0) require(c.n_turns == 0 && c.n_tools == 0 && c.bytes == 0);
    if (st >= 0) {
        const size_t turns = c.n_turns, bytes = c.bytes;
        require(rmr_conversation_add_json(&c, "{\"messages\": [{}]}", 18, &err) < 0);
        require(c.n_turns == turns && c.bytes == bytes);
        render(&c, &all[data[0] % n_formats], data[1]);
    }
    print_twice(&mem, text, n);
    rmr_conversation_clear(&c);
    require(atomic_load(&mem.bytes) == 0);
    return 0;
}
