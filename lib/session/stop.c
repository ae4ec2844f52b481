/* SPDX-License-Identifier: Apache-2.0 */
#include "stop.h"

#include <string.h>

#include "utf8.h"

/* String i of the options. */
static const char *string_of(const remora_gen_opts *o, uint64_t i, size_t *n)
{
    *n = o->stop[i].ptr != NULL ? (size_t)o->stop[i].len : 0;
    return o->stop[i].ptr;
}

remora_status rmr_stops_check(const remora_gen_opts *o, remora_error *err)
{
    if (o->n_stop == 0) return REMORA_OK;
    if (o->stop == NULL)
        RMR_FAIL(err, REMORA_E_ARG, "stop is NULL, and n_stop is %llu",
                 (unsigned long long)o->n_stop);
    if (o->n_stop > RMR_STOPS_MAX)
        RMR_FAIL(err, REMORA_E_ARG, "there are %llu stop strings, at most %d are supported",
                 (unsigned long long)o->n_stop, RMR_STOPS_MAX);
    for (uint64_t i = 0; i < o->n_stop; i++) {
        size_t n;
        const char *s = string_of(o, i, &n);
        if (n == 0 || n > RMR_STOP_BYTES_MAX)
            RMR_FAIL(err, REMORA_E_ARG, "stop[%llu] has %zu bytes, supported are 1 to %d",
                     (unsigned long long)i, n, RMR_STOP_BYTES_MAX);
        const size_t good = rmr_utf8_until(s, n);
        if (good < n)
            RMR_FAIL(err, REMORA_E_ARG, "stop[%llu] is not UTF-8 from byte %zu on",
                     (unsigned long long)i, good);
    }
    return REMORA_OK;
}

int rmr_stops_same(const rmr_stops *st, const remora_gen_opts *o)
{
    if (o->n_stop != st->n || (o->n_stop > 0 && o->stop == NULL)) return 0;
    for (uint32_t i = 0; i < st->n; i++) {
        size_t n;
        const char *s = string_of(o, i, &n);
        if (n != st->begin[i + 1] - st->begin[i] || memcmp(s, st->text + st->begin[i], n) != 0)
            return 0;
    }
    return 1;
}

static void lay_out(rmr_stops *st, rmr_arena *a, uint32_t bytes)
{
    st->begin = rmr_arena_take(a, (uint64_t)st->n + 1, sizeof *st->begin);
    st->text = rmr_arena_take(a, bytes, sizeof *st->text);
    st->border = rmr_arena_take(a, bytes, sizeof *st->border);
    for (int r = 0; r < RMR_READINGS; r++)
        st->matched[r] = rmr_arena_take(a, st->n, sizeof *st->matched[r]);
    st->is_name = rmr_arena_take(a, st->longest, sizeof *st->is_name);
}

/* The number of bytes of the string that match when `byte` follows `k` matching ones. */
static uint32_t follow(const char *s, const uint16_t *border, uint32_t k, char byte)
{
    while (k > 0 && s[k] != byte) k = border[k - 1];
    return s[k] == byte ? k + 1 : 0;
}

static void find_borders(const char *s, uint32_t n, uint16_t *border)
{
    border[0] = 0;
    for (uint32_t i = 1; i < n; i++) border[i] = (uint16_t)follow(s, border, border[i - 1], s[i]);
}

static void copy_strings(rmr_stops *st, const remora_gen_opts *o)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < st->n; i++) {
        size_t n;
        const char *s = string_of(o, i, &n);
        st->begin[i] = at;
        memcpy(st->text + at, s, n);
        find_borders(st->text + at, (uint32_t)n, st->border + at);
        at += (uint32_t)n;
        for (int r = 0; r < RMR_READINGS; r++) st->matched[r][i] = 0;
    }
    st->begin[st->n] = at;
}

remora_status rmr_stops_make(rmr_stops *st, rmr_mem *mem, const remora_gen_opts *o,
                             remora_error *err)
{
    rmr_arena a = {0};
    uint32_t bytes = 0;
    *st = (rmr_stops){.n = (uint32_t)o->n_stop};
    if (st->n == 0) return REMORA_OK;
    for (uint32_t i = 0; i < st->n; i++) {
        size_t n;
        (void)string_of(o, i, &n);
        bytes += (uint32_t)n;
        if (n > st->longest) st->longest = (uint32_t)n;
    }
    lay_out(st, &a, bytes);
    const remora_status made = rmr_arena_make(&a, mem, "stop strings", err);
    if (made < 0) {
        *st = (rmr_stops){0};
        return made;
    }
    lay_out(st, &a, bytes);
    st->block_bytes = a.size;
    copy_strings(st, o);
    return REMORA_OK;
}

void rmr_stops_free(rmr_stops *st, rmr_mem *mem)
{
    rmr_arena_free(mem, st->begin, st->block_bytes);
    *st = (rmr_stops){0};
}

/* Bytes of text among the last k of the named reading. */
static uint32_t text_among(const rmr_stops *st, uint32_t k)
{
    uint32_t n = 0;
    RMR_ASSERT(k <= st->longest && k <= st->n_named);
    for (uint32_t i = 1; i <= k; i++) n += !st->is_name[(st->n_named - i) % st->longest];
    return n;
}

/* Let one reading have the byte. */
static int read_in(rmr_stops *st, int reading, char byte, int found, rmr_stop_hit *hit)
{
    for (uint32_t i = 0; i < st->n; i++) {
        const uint32_t begin = st->begin[i], n = st->begin[i + 1] - begin;
        uint16_t *matched = &st->matched[reading][i];
        RMR_ASSERT(*matched < n);
        const uint32_t k = follow(st->text + begin, st->border + begin, *matched, byte);
        *matched = k < n ? (uint16_t)k : st->border[begin + n - 1];
        if (k < n) continue;
        const uint32_t n_text = reading == RMR_READ_TEXT ? n : text_among(st, n);
        if (found && (n_text < hit->n_text || (n_text == hit->n_text && i >= hit->string)))
            continue;
        *hit = (rmr_stop_hit){i, n_text};
        found = 1;
    }
    return found;
}

int rmr_stops_read(rmr_stops *st, char byte, int is_name, rmr_stop_hit *hit)
{
    int found = 0;
    if (st->n == 0) return 0;
    st->is_name[st->n_named++ % st->longest] = is_name != 0;
    if (!is_name) found = read_in(st, RMR_READ_TEXT, byte, found, hit);
    return read_in(st, RMR_READ_NAMED, byte, found, hit);
}

uint32_t rmr_stops_held(const rmr_stops *st)
{
    uint32_t most[RMR_READINGS] = {0};
    for (int r = 0; r < RMR_READINGS; r++)
        for (uint32_t i = 0; i < st->n; i++)
            if (st->matched[r][i] > most[r]) most[r] = st->matched[r][i];
    const uint32_t named = text_among(st, most[RMR_READ_NAMED]);
    return named > most[RMR_READ_TEXT] ? named : most[RMR_READ_TEXT];
}
