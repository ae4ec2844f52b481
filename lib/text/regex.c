/* SPDX-License-Identifier: Apache-2.0 */
/* Translation of patterns to PCRE2, and searches that cannot run away.
 *
 * PCRE2 limits the backtracking of one attempt, not the sum over all start positions, and a greedy
 * repeat may eat the whole text before it fails. So patterns are compiled with automatic callouts:
 * PCRE2 reports its position before every item, and the callout adds up how far it moved. That is
 * the true work of any pattern, and costs a fifth of the speed. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "regex.h"

#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "translate.h"
#include "utf8.h"

enum {
    HEAP_LIMIT_KIB = 128 * 1024, /* backtracking frames of one attempt */
    MATCH_LIMIT = 1 << 30,       /* the callout's budget ends first */
};

struct rmr_regex {
    rmr_mem *mem;
    pcre2_code *code; /* NULL: the pattern is space_end */
    char field[64];
};

/* DeepSeek-V2's splits include this one. On a run of n spaces before anything else every start
 * fails after n steps, so it is done by hand (find_space_end), once over each run. */
static const char space_end[] = "\\s+$";

struct rmr_matcher {
    rmr_mem *mem;
    pcre2_general_context *general;
    pcre2_match_context *context;
    pcre2_match_data *data;
    uint64_t work;
    size_t at;
};

static void *pcre_malloc(size_t size, void *user)
{
    return rmr_sized_alloc(user, size);
}

static void pcre_free(void *p, void *user)
{
    rmr_sized_free(user, p);
}

static int spend(pcre2_callout_block *block, void *user)
{
    rmr_matcher *m = user;
    const size_t at = block->current_position;
    const uint64_t steps = at > m->at ? 1 + (at - m->at) : 1;
    m->at = at;
    if (steps > m->work) {
        m->work = 0;
        return PCRE2_ERROR_CALLOUT;
    }
    m->work -= steps;
    return 0;
}

static remora_status compile_translated(rmr_mem *mem, rmr_regex *re, const char *pattern, size_t n,
                                        uint32_t options, remora_error *err)
{
    int code;
    PCRE2_SIZE at;
    remora_status st = REMORA_OK;
    pcre2_compile_context *context = NULL;
    pcre2_general_context *general = pcre2_general_context_create(pcre_malloc, pcre_free, mem);
    if (general != NULL) context = pcre2_compile_context_create(general);
    if (context == NULL) {
        st = rmr_error_nomem(err, re->field, n);
        goto out;
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    re->code = pcre2_compile((PCRE2_SPTR)pattern, n, options | PCRE2_UTF | PCRE2_AUTO_CALLOUT,
                             &code, &at, context);
    if (re->code == NULL && code == PCRE2_ERROR_HEAP_FAILED) {
        st = rmr_error_nomem(err, re->field, n);
    } else if (re->code == NULL) {
        PCRE2_UCHAR why[120];
        if (pcre2_get_error_message(code, why, sizeof why) < 0) why[0] = 0;
        st = rmr_error_set(err, REMORA_E_UNSUPPORTED, 0, "%s: %s", re->field, (const char *)why);
    }
out:
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    return st;
}

remora_status rmr_regex_compile(rmr_mem *mem, const char *field, const char *pattern, size_t n,
                                int literal, rmr_regex **out, remora_error *err)
{
    rmr_text text = {.mem = mem};
    remora_status st;
    *out = NULL;
    rmr_regex *re = rmr_calloc(mem, 1, sizeof *re);
    if (re == NULL) return rmr_error_nomem(err, field, sizeof *re);
    re->mem = mem;
    snprintf(re->field, sizeof re->field, "%s", field);
    if (!literal && n == sizeof space_end - 1 && memcmp(pattern, space_end, n) == 0) {
        st = REMORA_OK;
    } else if (literal) {
        st = compile_translated(mem, re, pattern, n, PCRE2_LITERAL, err);
    } else {
        st = rmr_regex_translate(re->field, pattern, n, &text, err);
        if (st >= 0)
            st = compile_translated(mem, re, text.p != NULL ? text.p : "", text.n,
                                    PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, err);
    }
    rmr_free(mem, text.p, text.cap);
    if (st >= 0)
        *out = re;
    else
        rmr_regex_free(re);
    return st;
}

void rmr_regex_free(rmr_regex *re)
{
    if (re == NULL) return;
    pcre2_code_free(re->code);
    rmr_free(re->mem, re, sizeof *re);
}

remora_status rmr_matcher_create(rmr_mem *mem, uint64_t work, rmr_matcher **out, remora_error *err)
{
    *out = NULL;
    rmr_matcher *m = rmr_calloc(mem, 1, sizeof *m);
    if (m == NULL) return rmr_error_nomem(err, "matcher", sizeof *m);
    m->mem = mem;
    m->work = work;
    m->general = pcre2_general_context_create(pcre_malloc, pcre_free, mem);
    if (m->general != NULL) m->context = pcre2_match_context_create(m->general);
    if (m->context != NULL) m->data = pcre2_match_data_create(1, m->general);
    if (m->data == NULL) {
        rmr_matcher_free(m);
        return rmr_error_nomem(err, "matcher", 0);
    }
    pcre2_set_callout(m->context, spend, m);
    pcre2_set_heap_limit(m->context, HEAP_LIMIT_KIB);
    pcre2_set_match_limit(m->context, MATCH_LIMIT);
    pcre2_set_depth_limit(m->context, MATCH_LIMIT);
    *out = m;
    return REMORA_OK;
}

void rmr_matcher_free(rmr_matcher *m)
{
    if (m == NULL) return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_general_context_free(m->general);
    rmr_free(m->mem, m, sizeof *m);
}

static int is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || cp == 0x20 || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
           cp == 0x205F || cp == 0x3000;
}

/* A run of spaces up to its last line end, which is the end of s or stands before a newline. */
static remora_status find_space_end(const char *s, size_t n, size_t from, size_t *begin,
                                    size_t *end)
{
    size_t i = from, start = 0, last = 0;
    int in_run = 0;
    while (i < n) {
        uint32_t cp;
        const size_t len = rmr_utf8_step((const unsigned char *)s + i, n - i, &cp);
        const int space = is_space(cp);
        if (space && !in_run) start = last = i;
        if (space && cp == '\n') last = i;
        if (!space && in_run && last > start) break;
        in_run = space;
        i += len;
    }
    if (i == n && in_run) last = n;
    if (last <= start) return REMORA_END;
    *begin = start;
    *end = last;
    return REMORA_OK;
}

remora_status rmr_regex_find(const rmr_regex *re, rmr_matcher *m, const char *s, size_t n,
                             size_t from, size_t *begin, size_t *end, remora_error *err)
{
    if (re->code == NULL) return find_space_end(s, n, from, begin, end);
    m->at = from;
    const int rc =
        pcre2_match(re->code, (PCRE2_SPTR)s, n, from, PCRE2_NO_UTF_CHECK, m->data, m->context);
    if (rc >= 0) {
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(m->data);
        RMR_ASSERT(span[0] <= n && span[1] <= n);
        *begin = span[0];
        *end = span[1];
        return REMORA_OK;
    }
    if (rc == PCRE2_ERROR_NOMATCH) return REMORA_END;
    if (rc == PCRE2_ERROR_NOMEMORY) return rmr_error_nomem(err, re->field, n);
    if (rc == PCRE2_ERROR_CALLOUT || rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT ||
        rc == PCRE2_ERROR_HEAPLIMIT)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: this text makes the pattern backtrack without end (byte %zu of a piece of "
                 "%zu)",
                 re->field, m->at, n);
    RMR_FAIL(err, REMORA_E_INTERNAL, "%s: PCRE2 says %d", re->field, rc);
}
