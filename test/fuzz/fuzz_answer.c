/* SPDX-License-Identifier: Apache-2.0 */
/* Any output in any chat format: every byte is counted once, and pieces give what one call gives.
 * Byte 0 is the chat format, byte 1 where the output begins, whether tools are declared, and how it
 * ends. Of the rest 0xFF cuts, 0xC0 and on are the format's markers, and all else is itself. */
#include "../unit/tok_fixture.h"
#include "answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TEXT = 1 << 15, ROOM = 8 * MAX_TEXT, MAX_CUTS = 4096 };

typedef struct story {
    char text[ROOM];
    size_t n;
    int last; /* the part that the text ends in; pieces of one are joined */
} story;

static void require(int ok)
{
    if (!ok) abort();
}

static void tell(void *user, int part, const char *text, size_t n, const char *id, size_t n_id)
{
    story *s = user;
    require(s->n + n + n_id + 2 < ROOM);
    if (part != s->last || part == REMORA_PART_CALL) s->text[s->n++] = (char)part;
    if (n > 0) memcpy(s->text + s->n, text, n);
    if (n_id > 0) memcpy(s->text + s->n + n, id, n_id);
    s->n += n + n_id;
    s->last = part;
}

static void fetch(story *s, const rmr_answer *a, const rmr_answer_event *e)
{
    const char *text = a->text + e->at;
    tell(s, e->part, text, e->n, text + e->n, e->n_id);
}

/* The input as text, and where it is cut. */
static size_t expand(const rmr_markers *m, const uint8_t *data, size_t size, char *text,
                     size_t *cuts, size_t *n_cuts)
{
    size_t n = 0;
    *n_cuts = 0;
    for (size_t i = 0; i < size && n + RMR_MARKER_MAX < MAX_TEXT; i++) {
        const rmr_marker *k = &m->all[(data[i] & 0x3F) % RMR_M_COUNT];
        if (data[i] == 0xFF) {
            if (*n_cuts < MAX_CUTS) cuts[(*n_cuts)++] = n;
        } else if (data[i] >= 0xC0) {
            memcpy(text + n, k->text, k->n);
            n += k->n;
        } else
            text[n++] = (char)data[i];
    }
    return n;
}

static void run_whole(const rmr_markers *m, int state, const char *text, size_t n, int cut,
                      story *s)
{
    static rmr_chat_parse p;
    const rmr_chat_out out = {tell, s};
    uint64_t sum = 0;
    rmr_chat_parse_begin(&p, m, state);
    rmr_chat_parse_push(&p, text, n, RMR_BYTE_UNKNOWN, &out);
    for (int i = 0; i < RMR_PARTS; i++) sum += p.bytes[i];
    require(sum + rmr_chat_parse_held(&p) == n);
    rmr_chat_parse_finish(&p, cut, &out);
    sum = 0;
    for (int i = 0; i < RMR_PARTS; i++) sum += p.bytes[i];
    require(sum == n && rmr_chat_parse_held(&p) == 0);
}

static void run_pieces(const rmr_markers *m, int state, const rmr_tokenizer *tok, const char *text,
                       size_t n, const size_t *cuts, size_t n_cuts, int cut, story *s)
{
    static rmr_answer a;
    const rmr_answer_event *e;
    size_t at = 0, used;
    rmr_answer_begin(&a, m, state);
    for (size_t i = 0; i <= n_cuts; i++) {
        const size_t end = i < n_cuts ? cuts[i] : n;
        do {
            require(rmr_answer_text(&a, tok, text + at, end - at, &used, &e, NULL) == REMORA_OK);
            at += used;
            if (e != NULL) fetch(s, &a, e);
        } while (e != NULL);
        require(at == end);
    }
    do {
        require(rmr_answer_end(&a, tok, cut, &e, NULL) == REMORA_OK);
        if (e != NULL) fetch(s, &a, e);
    } while (e != NULL);
}

/* Leave out what is no UTF-8: what becomes of that is the detokenizer's matter. */
static size_t valid(const char *raw, size_t n, char *text)
{
    size_t m = 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        const size_t len = rmr_utf8_step((const unsigned char *)raw + i, n - i, &cp);
        if (cp < RMR_UTF8_SHORT) {
            memcpy(text + m, raw + i, len);
            m += len;
        }
        i += len;
    }
    return m;
}

static void read_twice(const rmr_markers *m, const rmr_tokenizer *tok, const uint8_t *data,
                       size_t size)
{
    static char raw[MAX_TEXT], text[MAX_TEXT];
    static size_t cuts[MAX_CUTS];
    static story whole, pieces;
    size_t n_cuts;
    const int state = data[1] & 3, cut = data[1] >> 3 & 1;
    const size_t n = valid(raw, expand(m, data + 2, size - 2, raw, cuts, &n_cuts), text);
    for (size_t i = 0; i < n_cuts; i++) cuts[i] = cuts[i] < n ? cuts[i] : n;
    whole.n = pieces.n = 0;
    whole.last = pieces.last = 0;
    run_whole(m, m->tools || state < RMR_PARSE_CALLS ? state : RMR_PARSE_START, text, n, cut,
              &whole);
    run_pieces(m, m->tools || state < RMR_PARSE_CALLS ? state : RMR_PARSE_START, tok, text, n, cuts,
               n_cuts, cut, &pieces);
    require(whole.n == pieces.n && memcmp(whole.text, pieces.text, whole.n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rmr_markers m;
    const fix f = {.added = ""};
    rmr_mem mem = {0};
    rmr_tokenizer *tok;
    size_t n_formats;
    const rmr_chat_format *formats = rmr_chat_formats(&n_formats);
    if (size < 2) return 0;
    rmr_mem_init(&mem);
    require(fix_open(&mem, &f, &tok, NULL) == REMORA_OK);
    require(rmr_markers_make(&m, &formats[data[0] % n_formats], NULL, data[1] & 4, NULL) ==
            REMORA_OK);
    read_twice(&m, tok, data, size);
    rmr_tokenizer_free(tok);
    require(atomic_load(&mem.bytes) == 0);
    return 0;
}
