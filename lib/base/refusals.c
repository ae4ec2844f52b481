/* SPDX-License-Identifier: Apache-2.0 */
#include "refusals.h"

#include <string.h>

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Compare two messages; whole numbers behind '.' (model.layers.3) or '-' (model-00003-of-00007)
 * count as equal. */
static int is_alike(const char *a, const char *b)
{
    char before = 0;
    while (*a != 0 && *b != 0) {
        if (is_digit(*a) && is_digit(*b) && (before == '.' || before == '-')) {
            while (is_digit(*a)) a++;
            while (is_digit(*b)) b++;
        } else if (*a != *b) {
            return 0;
        } else {
            a++;
            b++;
        }
        before = a[-1];
    }
    return *a == *b;
}

static rmr_refusal *find_alike(const rmr_refusals *r, remora_status st, const char *text)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->items[i].status == st &&
            (r->by_layer ? is_alike(r->items[i].text, text) : strcmp(r->items[i].text, text) == 0))
            return &r->items[i];
    return NULL;
}

remora_status rmr_refusals_keep(rmr_refusals *r, remora_status st, remora_error *err)
{
    if (r == NULL ||
        (st != REMORA_E_FORMAT && st != REMORA_E_UNSUPPORTED && st != REMORA_E_NOT_FOUND))
        return st;
    RMR_ASSERT(err != NULL && r->n <= RMR_MAX_REFUSALS);
    r->total++;
    rmr_refusal *same = find_alike(r, st, err->message);
    if (same != NULL) {
        /* without by_layer another reader of the file has given the same reason */
        same->alike += r->by_layer != 0;
        return REMORA_OK;
    }
    if (r->n == RMR_MAX_REFUSALS) {
        r->dropped++;
        return REMORA_OK;
    }
    char *text = rmr_strdup(r->mem, err->message);
    if (text == NULL) return rmr_error_nomem(err, "refusals", sizeof err->message);
    const remora_status grown =
        rmr_grow(r->mem, &r->items, &r->cap, r->n + 1, sizeof *r->items, err);
    if (grown < 0) {
        rmr_strfree(r->mem, text);
        return grown;
    }
    r->items[r->n++] = (rmr_refusal){st, text, 0};
    return REMORA_OK;
}

void rmr_refusals_free(rmr_refusals *r)
{
    for (size_t i = 0; i < r->n; i++) rmr_strfree(r->mem, r->items[i].text);
    rmr_free(r->mem, r->items, r->cap * sizeof *r->items);
    r->items = NULL;
    r->n = r->cap = 0;
}
