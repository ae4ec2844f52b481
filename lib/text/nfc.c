/* SPDX-License-Identifier: Apache-2.0 */
/* utf8proc's tables and composition around our own buffers and our own ordering of marks: its
 * convenience calls use malloc, and its bubble sort takes quadratic time on a long run of marks. */
#include "nfc.h"

#include <string.h>
#include <utf8proc.h>

#include "utf8.h"

enum { MOST = 32 /* code points that one decomposes to */ };

static const utf8proc_option_t options = (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

/* 1 when all code points are below U+0300, where nothing composes or reorders. */
static int is_plain(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] >= 0xCC) return 0;
    return 1;
}

/* Canonical decomposition; with out NULL only counted. */
static size_t decompose(const char *s, size_t n, int32_t *out)
{
    size_t k = 0;
    for (size_t i = 0; i < n;) {
        int32_t buf[MOST];
        int boundary = 0;
        uint32_t cp;
        i += rmr_utf8_step((const unsigned char *)s + i, n - i, &cp);
        const utf8proc_ssize_t m =
            utf8proc_decompose_char((int32_t)cp, buf, MOST, options, &boundary);
        if (m < 1 || m > MOST) { /* not in Unicode's tables: itself */
            buf[0] = (int32_t)cp;
            if (out != NULL) out[k] = buf[0];
            k++;
            continue;
        }
        if (out != NULL) memcpy(out + k, buf, (size_t)m * sizeof *buf);
        k += (size_t)m;
    }
    return k;
}

static unsigned combining_class(int32_t cp)
{
    return (unsigned)utf8proc_get_property(cp)->combining_class & 0xFF;
}

/* Stable counting sort of one run of marks by combining class; tmp has room for it. */
static void order_run(int32_t *run, size_t n, int32_t *tmp)
{
    size_t start[257] = {0};
    for (size_t i = 0; i < n; i++) start[combining_class(run[i]) + 1]++;
    for (size_t i = 0; i < 256; i++) start[i + 1] += start[i];
    for (size_t i = 0; i < n; i++) tmp[start[combining_class(run[i])]++] = run[i];
    memcpy(run, tmp, n * sizeof *run);
}

static void order_marks(int32_t *s, size_t n, int32_t *tmp)
{
    for (size_t i = 0; i < n; i++) {
        unsigned last = combining_class(s[i]);
        if (last == 0) continue;
        const size_t start = i;
        int sorted = 1;
        for (i++; i < n; i++) {
            const unsigned c = combining_class(s[i]);
            if (c == 0) break;
            if (c < last) sorted = 0;
            last = c;
        }
        if (!sorted) order_run(s + start, i - start, tmp);
    }
}

/* UTF-8 of n code points; with out NULL only counted. */
static size_t put_all(const int32_t *s, size_t n, char *out)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char b[4];
        const size_t len = rmr_utf8_put((uint32_t)s[i], b);
        if (out != NULL) memcpy(out + k, b, len);
        k += len;
    }
    return k;
}

remora_status rmr_nfc(rmr_mem *mem, const char *s, size_t n, char **out, size_t *out_n,
                      remora_error *err)
{
    remora_status st = REMORA_OK;
    *out = NULL;
    *out_n = 0;
    if (is_plain(s, n)) return REMORA_OK;
    const size_t m = decompose(s, n, NULL), bytes = m * 2 * sizeof(int32_t);
    int32_t *cps = rmr_alloc(mem, bytes);
    if (cps == NULL) return rmr_error_nomem(err, "normalized text", bytes);
    decompose(s, n, cps);
    order_marks(cps, m, cps + m);
    const utf8proc_ssize_t composed = utf8proc_normalize_utf32(cps, (utf8proc_ssize_t)m, options);
    if (composed < 0) {
        st = rmr_error_set(err, REMORA_E_INTERNAL, 0, "utf8proc says %d", (int)composed);
        goto out;
    }
    *out_n = put_all(cps, (size_t)composed, NULL);
    *out = rmr_alloc(mem, *out_n);
    if (*out == NULL) {
        st = rmr_error_nomem(err, "normalized text", *out_n);
        goto out;
    }
    put_all(cps, (size_t)composed, *out);
    if (*out_n == n && memcmp(*out, s, n) == 0) {
        rmr_free(mem, *out, *out_n);
        *out = NULL;
    }
out:
    rmr_free(mem, cps, bytes);
    return st;
}
