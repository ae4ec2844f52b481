/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a request of OpenAI's API: a conversation or a status, then a prompt of any chat
 * format or a status. What a prompt has of markup lies in it in order, a conversation takes a
 * second request or stays as it was, and JSON that is printed prints again alike. What may answer
 * the prompt is a grammar or a status within small limits, and the tokens that it allows are taken.
 * The first two bytes say which chat format, and how it is asked. */
#include "../unit/tok_fixture.h"
#include "answer_grammar.h"
#include "constraint.h"
#include "json_text.h"
#include "parse.h"
#include "render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) abort();
}

enum { VOCAB = 4096 }; /* of the tokenizer that fix_open() makes */

/* A tokenizer with the markers of the format that can be tokens, where there are tools. */
static rmr_tokenizer *tokenizer(rmr_mem *mem, const rmr_chat_format *f)
{
    static rmr_markers m;
    static char added[1 << 14];
    rmr_tokenizer *tok;
    size_t n = 0;
    added[0] = 0;
    require(rmr_markers_make(&m, f, NULL, 1, NULL) == REMORA_OK);
    for (size_t i = 0; i < RMR_M_COUNT; i++) {
        const rmr_marker *k = &m.all[i];
        char text[RMR_MARKER_MAX + 1] = "";
        memcpy(text, k->text, k->n);
        char *end = strchr(text, '>');
        if (text[0] != '<' || end == NULL) continue;
        end[1] = 0;
        if (strpbrk(text, "\n\"\\") != NULL || strstr(added, text) != NULL) continue;
        n += (size_t)snprintf(added + n, sizeof added - n,
                              "%s{\"id\":%zu,\"content\":\"%s\",\"special\":true}",
                              n > 0 ? "," : "", 256 + i, text);
    }
    const fix file = {.added = added};
    require(fix_open(mem, &file, &tok, NULL) == REMORA_OK);
    return tok;
}

/* A few of the tokens that are allowed; the bytes say which. */
static void follow(rmr_constraint *c, const uint8_t *data, size_t size)
{
    uint32_t mask[VOCAB / 32];
    rmr_guide *m;
    require(rmr_guide_new(c, &m, NULL) == REMORA_OK);
    for (size_t i = 0; i < 24; i++) {
        const remora_status st = rmr_guide_mask(m, mask, NULL);
        require(st == REMORA_OK || st == REMORA_E_NO_TOKEN || st == REMORA_E_LIMIT);
        if (st < 0) break;
        remora_token t = (remora_token)(data[i % size] * 7 + i) % 384;
        for (int k = 0; k < VOCAB && !(mask[t / 32] >> t % 32 & 1); k++) t = (t + 1) % VOCAB;
        const remora_status read = rmr_guide_accept(m, t, NULL);
        require(read == REMORA_OK || read == REMORA_E_LIMIT);
        if (read < 0) break;
    }
    require(rmr_guide_rollback(m, rmr_guide_count(m), NULL) == REMORA_OK);
    rmr_guide_free(m);
}

/* The grammar of answers to the prompt, which ends at `begin`, and some tokens of it. */
static void answer(const rmr_conversation *c, const rmr_chat_wish *wish, const rmr_chat_format *f,
                   int begin, const uint8_t *data, size_t size)
{
    static const int places[] = {[RMR_BEGIN_ANSWER] = RMR_PARSE_CONTENT,
                                 [RMR_BEGIN_REASONING] = RMR_PARSE_REASONING,
                                 [RMR_BEGIN_CALLS] = RMR_PARSE_CALLS};
    const rmr_limits lim = {.build = 300000, .step = 100000, .bytes = 16 << 20};
    const int at_start = begin == RMR_BEGIN_ANSWER && f->think.by_model && (data[1] & 8);
    remora_error err = {.struct_size = sizeof err};
    rmr_mem *mem = c->mem;
    rmr_tool_types types;
    rmr_vocabulary *v;
    rmr_grammar *g;
    rmr_constraint *bounds;
    rmr_tokenizer *tok = tokenizer(mem, f);
    require(rmr_tool_types_make(&types, mem, c, &err) == REMORA_OK);
    require(rmr_vocabulary_of(mem, tok, VOCAB, &v, &err) == REMORA_OK);
    require(rmr_grammar_new(mem, &lim, &g, &err) == REMORA_OK);
    const rmr_answer_rules rules = {.talk = c,
                                    .wish = wish,
                                    .format = f,
                                    .tok = tok,
                                    .types = &types,
                                    .place = at_start ? RMR_PARSE_START : places[begin],
                                    .one = data[1] >> 1 & 1,
                                    .lax = data[1] >> 2 & 1};
    remora_status st = rmr_answer_grammar(g, &rules, &err);
    require(st == REMORA_OK || st == REMORA_E_ARG || st == REMORA_E_UNSUPPORTED ||
            st == REMORA_E_FORMAT || st == REMORA_E_LIMIT);
    require(st == REMORA_OK || err.message[0] != 0);
    if (st < 0) {
        rmr_grammar_free(g);
    } else if ((st = rmr_constraint_new(mem, g, v, &bounds, &err)) >= 0) {
        follow(bounds, data, size);
        rmr_constraint_free(bounds);
    } else {
        require(st == REMORA_E_LIMIT);
    }
    rmr_vocabulary_free(v);
    rmr_tool_types_free(&types, mem);
    rmr_tokenizer_free(tok);
}

static void render(const rmr_conversation *c, const rmr_chat_format *f, const uint8_t *data,
                   size_t size)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_chat_wish wish = c->wish;
    rmr_chat_writer w = {.mem = c->mem, .err = &err};
    int begin = -1;
    size_t at = 0;
    wish.as_template = data[1] & 1;
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
    if (st >= 0 && (!wish.no_request || wish.go_on)) answer(c, &wish, f, begin, data, size);
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
        render(&c, &all[data[0] % n_formats], data, size);
    }
    print_twice(&mem, text, n);
    rmr_conversation_clear(&c);
    require(atomic_load(&mem.bytes) == 0);
    return 0;
}
