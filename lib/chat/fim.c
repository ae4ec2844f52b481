/* SPDX-License-Identifier: Apache-2.0 */
#include "fim.h"

#include <string.h>

#include "fim_heal.h"
#include "markers.h"

/* A token has less than 16 bytes on the average in every text that people write, so that much text
 * is looked at for each token of the limit. */
enum { BYTES_PER_TOKEN = 16 };

/* Default shares of the limit in percent; the files have what is left of 100. */
enum { PREFIX_SHARE = 60, SUFFIX_SHARE = 25 };

/* A text that is cut in front loses an eighth of its share at a time. So the same tokens stay in
 * front while somebody types, and a session that is synced keeps them. */
enum { CUT_STEPS = 8 };

typedef struct maker {
    const rmr_tokenizer *t;
    rmr_mem *mem;
    const rmr_fim_ask *ask;
    rmr_fim_tokens *out;
    remora_fim_info *info;
    remora_error *err;
} maker;

typedef struct list {
    rmr_fim_tokens l;
    size_t from, to; /* what is kept of it */
} list;

/* -- tokens -- */

void rmr_fim_free(rmr_mem *mem, rmr_fim_tokens *l)
{
    rmr_free(mem, l->ids, l->cap * sizeof *l->ids);
    *l = (rmr_fim_tokens){0};
}

static remora_status room(const maker *m, rmr_fim_tokens *l, size_t n)
{
    return rmr_grow(m->mem, &l->ids, &l->cap, l->n + n, sizeof *l->ids, m->err);
}

static remora_status add(const maker *m, const remora_token *ids, size_t n)
{
    RMR_TRY(room(m, m->out, n));
    if (n > 0) memcpy(m->out->ids + m->out->n, ids, n * sizeof *ids);
    m->out->n += n;
    return REMORA_OK;
}

static remora_status encode(const maker *m, rmr_fim_tokens *l, const char *s, size_t n,
                            uint32_t flags)
{
    size_t made;
    RMR_TRY(room(m, l, n + 8));
    remora_status st =
        rmr_tokenizer_encode(m->t, s, n, flags, l->ids + l->n, l->cap - l->n, &made, m->err);
    if (st == REMORA_E_BUFFER) {
        RMR_TRY(room(m, l, made));
        st = rmr_tokenizer_encode(m->t, s, n, flags, l->ids + l->n, l->cap - l->n, &made, m->err);
    }
    RMR_TRY(st);
    l->n += made;
    return REMORA_OK;
}

static remora_token find(const rmr_tokenizer *t, const char *name)
{
    return rmr_tokenizer_find(t, name, strlen(name));
}

/* -- cutting -- */

static const char *line_start(const char *s, const char *end)
{
    const char *at = memchr(s, '\n', (size_t)(end - s));
    return at == NULL ? s : at + 1;
}

/* The part of a long prefix that can matter, from a place that moves in steps of half of it. */
static void near_end(const char **s, size_t *n, uint64_t limit)
{
    if (limit == 0 || limit > SIZE_MAX / BYTES_PER_TOKEN || *n <= limit * BYTES_PER_TOKEN) return;
    const size_t half = (size_t)limit * BYTES_PER_TOKEN / 2;
    const size_t drop = (size_t)rmr_round_up(*n - 2 * half, half);
    const char *from = *s + drop, *end = *s + *n;
    const char *line = line_start(from, end);
    while (line == from && from < end && (*from & 0xC0) == 0x80) line = ++from;
    *n = (size_t)(end - line);
    *s = line;
}

/* Whether a token begins a line: the one before it ends in a newline. */
static int begins_line(const rmr_tokenizer *t, const list *x, size_t i)
{
    const char *s;
    size_t n;
    if (i == 0 || rmr_tokenizer_bytes(t, x->l.ids[i - 1], &s, &n, NULL) < 0) return 1;
    return n > 0 && s[n - 1] == '\n';
}

/* Whether a text may begin with token i: not inside a character. */
static int begins_character(const rmr_tokenizer *t, const list *x, size_t i)
{
    const char *s;
    size_t n;
    if (rmr_tokenizer_bytes(t, x->l.ids[i], &s, &n, NULL) < 0) return 1;
    return n == 0 || ((unsigned char)s[0] & 0xC0) != 0x80;
}

/* Keep at most `most` of the last tokens: from a place that moves in steps, and of the next step
 * the first line or, without one, the first character. */
static void cut_front(const maker *m, list *x, size_t most)
{
    if (x->l.n <= most) return;
    const size_t step = most / CUT_STEPS + 1;
    size_t at = (size_t)rmr_round_up(x->l.n - most, step);
    if (at > x->l.n) at = x->l.n;
    const size_t end = x->l.n - at > step ? at + step : x->l.n;
    size_t line = at;
    while (line < end && !begins_line(m->t, x, line)) line++;
    if (line < end) at = line;
    while (at < x->l.n && !begins_character(m->t, x, at)) at++;
    x->from = at;
}

/* Keep at most `most` of the first tokens, and no part of a character. */
static void cut_back(const maker *m, list *x, size_t most)
{
    size_t n = x->l.n < most ? x->l.n : most;
    while (n > 0 && n < x->l.n && !begins_character(m->t, x, n)) n--;
    x->to = n;
}

/* -- shares -- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

typedef struct shares {
    size_t prefix, suffix, files;
} shares;

/* What each part gets of `have` tokens: its share, and what the others do not need: of that first
 * the prefix, then the suffix, then the files. */
static shares share_out(const remora_fim_opts *o, size_t have, shares need)
{
    const size_t p = o->prefix_share > 0 ? o->prefix_share : PREFIX_SHARE;
    const size_t s = o->suffix_share > 0 ? o->suffix_share : SUFFIX_SHARE;
    shares r;
    const size_t own_suffix = have / 100 * s + have % 100 * s / 100;
    const size_t own_prefix = have / 100 * p + have % 100 * p / 100;
    r.suffix = least(need.suffix, own_suffix);
    r.files = least(need.files, have - least(have, own_prefix + own_suffix));
    r.prefix = least(need.prefix, have - r.suffix - r.files);
    r.suffix = least(need.suffix, have - r.prefix - r.files);
    r.files = least(need.files, have - r.prefix - r.suffix);
    return r;
}

static remora_status check_shares(const maker *m)
{
    const remora_fim_opts *o = m->ask->o;
    const uint64_t p = o->prefix_share > 0 ? o->prefix_share : PREFIX_SHARE;
    const uint64_t s = o->suffix_share > 0 ? o->suffix_share : SUFFIX_SHARE;
    if (p + s > 100)
        RMR_FAIL(m->err, REMORA_E_ARG,
                 "fill in the middle: shares of %u and %u percent are more than 100", (unsigned)p,
                 (unsigned)s);
    return REMORA_OK;
}

/* -- the parts -- */

typedef struct markers {
    remora_token begin, hole, end, repo, file;
} markers;

static remora_status find_markers(const maker *m, markers *k)
{
    const remora_fim_opts *o = m->ask->o;
    k->begin = rmr_tokenizer_special(m->t, REMORA_SPECIAL_FIM_BEGIN);
    k->hole = rmr_tokenizer_special(m->t, REMORA_SPECIAL_FIM_HOLE);
    k->end = rmr_tokenizer_special(m->t, REMORA_SPECIAL_FIM_END);
    k->repo = find(m->t, "<|repo_name|>");
    k->file = find(m->t, "<|file_sep|>");
    if (k->begin == REMORA_TOKEN_NONE || k->hole == REMORA_TOKEN_NONE ||
        k->end == REMORA_TOKEN_NONE)
        RMR_FAIL(
            m->err, REMORA_E_UNSUPPORTED,
            "fill in the middle: the model's tokenizer has no tokens for it; supported are "
            "<｜fim▁begin｜>, <｜fim▁hole｜>, <｜fim▁end｜> and <|fim_prefix|>, <|fim_suffix|>, "
            "<|fim_middle|>");
    const int repository = o->repo.len > 0 || o->path.len > 0 || o->n_files > 0;
    if (repository && (k->repo == REMORA_TOKEN_NONE || k->file == REMORA_TOKEN_NONE))
        RMR_FAIL(m->err, REMORA_E_UNSUPPORTED,
                 "fill in the middle: the model has no form with other files; its tokenizer lacks "
                 "<|repo_name|> or <|file_sep|>");
    if (!repository) k->repo = k->file = REMORA_TOKEN_NONE;
    return REMORA_OK;
}

/* "path\n" and a text, as one piece of text. */
static remora_status encode_file(const maker *m, rmr_fim_tokens *l, remora_text path,
                                 const char *text, size_t n)
{
    const size_t size = (size_t)path.len + 1 + n;
    char *joined = rmr_alloc(m->mem, size);
    if (joined == NULL) return rmr_error_nomem(m->err, "text of a file", size);
    if (path.len > 0) memcpy(joined, path.ptr, (size_t)path.len);
    joined[path.len] = '\n';
    if (n > 0) memcpy(joined + path.len + 1, text, n);
    const remora_status st = encode(m, l, joined, size, 0);
    rmr_free(m->mem, joined, size);
    return st;
}

/* The other files, each behind its marker, one after the other; ends[i] is where file i ends. */
static remora_status encode_files(const maker *m, const markers *k, rmr_fim_tokens *l, size_t *ends)
{
    const remora_fim_opts *o = m->ask->o;
    for (size_t i = 0; i < o->n_files; i++) {
        const remora_file *f = &o->files[i];
        RMR_TRY(room(m, l, 1));
        l->ids[l->n++] = k->file;
        RMR_TRY(encode_file(m, l, f->path, f->text.ptr, (size_t)f->text.len));
        ends[i] = l->n;
    }
    return REMORA_OK;
}

/* The first of the last files that fit into `most` tokens together: files are whole or missing. */
static size_t first_file(const rmr_fim_tokens *l, const size_t *ends, size_t n, size_t most)
{
    size_t i = n;
    while (i > 0 && l->n - (i > 1 ? ends[i - 2] : 0) <= most) i--;
    return i;
}

typedef struct parts {
    list prefix, suffix;
    rmr_fim_tokens head, files, path; /* BOS and the repository's name; other files; this one's */
    size_t *ends;
    size_t first_file;
    uint32_t n_healed;
} parts;

static remora_status encode_parts(const maker *m, const markers *k, parts *p)
{
    const rmr_fim_ask *a = m->ask;
    const remora_fim_opts *o = a->o;
    const char *prefix = a->prefix;
    size_t n_prefix = a->n_prefix, n_suffix = a->n_suffix;
    near_end(&prefix, &n_prefix, o->max_tokens);
    if (o->max_tokens > 0 && n_suffix / BYTES_PER_TOKEN > o->max_tokens)
        n_suffix = (size_t)o->max_tokens * BYTES_PER_TOKEN;
    RMR_TRY(encode(m, &p->head, "", 0, REMORA_TEXT_BOS));
    if (k->repo != REMORA_TOKEN_NONE) {
        RMR_TRY(room(m, &p->head, 1));
        p->head.ids[p->head.n++] = k->repo;
        RMR_TRY(encode_file(m, &p->head, o->repo, NULL, 0));
        RMR_TRY(room(m, &p->path, 1));
        p->path.ids[p->path.n++] = k->file;
        RMR_TRY(encode_file(m, &p->path, o->path, NULL, 0));
        RMR_TRY(encode_files(m, k, &p->files, p->ends));
    }
    RMR_TRY(encode(m, &p->prefix.l, prefix, n_prefix, 0));
    return encode(m, &p->suffix.l, a->suffix, n_suffix, 0);
}

static remora_status cut(const maker *m, parts *p)
{
    const remora_fim_opts *o = m->ask->o;
    const size_t fixed = p->head.n + p->path.n + 3;
    shares s = {p->prefix.l.n, p->suffix.l.n, p->files.n};
    if (o->max_tokens > 0 && o->max_tokens < fixed)
        RMR_FAIL(m->err, REMORA_E_ARG,
                 "fill in the middle: the markers take %zu tokens, the limit is %llu", fixed,
                 (unsigned long long)o->max_tokens);
    if (o->max_tokens > 0 && o->max_tokens < SIZE_MAX)
        s = share_out(o, (size_t)o->max_tokens - fixed, s);
    cut_front(m, &p->prefix, s.prefix);
    cut_back(m, &p->suffix, s.suffix);
    p->first_file = first_file(&p->files, p->ends, (size_t)o->n_files, s.files);
    return REMORA_OK;
}

static remora_status join(const maker *m, const markers *k, const parts *p)
{
    const size_t n_files = (size_t)m->ask->o->n_files;
    const size_t at = p->first_file > 0 ? p->ends[p->first_file - 1] : 0;
    RMR_TRY(add(m, p->head.ids, p->head.n));
    if (n_files > 0) RMR_TRY(add(m, p->files.ids + at, p->files.n - at));
    RMR_TRY(add(m, p->path.ids, p->path.n));
    RMR_TRY(add(m, &k->begin, 1));
    RMR_TRY(add(m, p->prefix.l.ids + p->prefix.from, p->prefix.to - p->prefix.from));
    RMR_TRY(add(m, &k->hole, 1));
    RMR_TRY(add(m, p->suffix.l.ids + p->suffix.from, p->suffix.to - p->suffix.from));
    return add(m, &k->end, 1);
}

static void tell(const maker *m, const parts *p)
{
    remora_fim_info *info = m->info;
    info->prefix_tokens = p->prefix.to - p->prefix.from;
    info->suffix_tokens = p->suffix.to - p->suffix.from;
    info->n_files = m->ask->o->n_files - p->first_file;
    info->is_cut = p->prefix.from > 0 || p->suffix.to < p->suffix.l.n || p->first_file > 0;
    info->n_heal = p->n_healed;
}

static remora_status make(const maker *m, parts *p)
{
    markers k;
    RMR_TRY(check_shares(m));
    RMR_TRY(find_markers(m, &k));
    RMR_TRY(encode_parts(m, &k, p));
    RMR_TRY(cut(m, p));
    p->prefix.to = p->prefix.l.n;
    if (m->ask->o->flags & REMORA_FIM_HEAL)
        p->prefix.to = rmr_fim_heal(m->t, p->prefix.l.ids, p->prefix.from, p->prefix.to,
                                    m->info->heal, &p->n_healed);
    RMR_TRY(join(m, &k, p));
    tell(m, p);
    return REMORA_OK;
}

remora_status rmr_fim(const rmr_tokenizer *t, rmr_mem *mem, const rmr_fim_ask *ask,
                      rmr_fim_tokens *out, remora_fim_info *info, remora_error *err)
{
    const maker m = {t, mem, ask, out, info, err};
    const size_t n_ends = (size_t)ask->o->n_files * sizeof(size_t);
    parts p;
    memset(&p, 0, sizeof p);
    if (ask->o->n_files > 0 && (p.ends = rmr_alloc(mem, n_ends)) == NULL)
        return rmr_error_nomem(err, "files", n_ends);
    const remora_status st = make(&m, &p);
    rmr_fim_free(mem, &p.prefix.l);
    rmr_fim_free(mem, &p.suffix.l);
    rmr_fim_free(mem, &p.head);
    rmr_fim_free(mem, &p.files);
    rmr_fim_free(mem, &p.path);
    rmr_free(mem, p.ends, n_ends);
    return st;
}

const char *rmr_fim_stop(const rmr_tokenizer *t, uint32_t i)
{
    static const char *const names[] = {
        "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", "<|fim_prefix|>",
        "<|fim_suffix|>",  "<|fim_middle|>", "<|fim_pad|>",   "<|file_sep|>",
        "<|repo_name|>",   "<|endoftext|>",  "<|im_end|>",
    };
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        if (find(t, names[k]) != REMORA_TOKEN_NONE && i-- == 0) return names[k];
    return NULL;
}
