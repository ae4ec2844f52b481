/* SPDX-License-Identifier: Apache-2.0 */
#include "option.h"

#include <string.h>

enum { SHOWN = 60 /* bytes of a key in a message */ };

remora_status rmr_options_check(const remora_option *extra, uint64_t n, remora_error *err)
{
    if (n > 0 && extra == NULL)
        RMR_FAIL(err, REMORA_E_ARG, "extra is NULL, and n_extra is %llu", (unsigned long long)n);
    return REMORA_OK;
}

static int is_missing(remora_text t)
{
    return t.ptr == NULL && t.len > 0;
}

remora_status rmr_option_check(const remora_option *extra, uint64_t i, remora_error *err)
{
    if (is_missing(extra[i].key) || is_missing(extra[i].value))
        RMR_FAIL(err, REMORA_E_ARG, "extra[%llu] has a NULL key or value", (unsigned long long)i);
    return REMORA_OK;
}

int rmr_option_is(const remora_option *o, const char *key)
{
    const size_t n = strlen(key);
    return o->key.len == n && memcmp(o->key.ptr, key, n) == 0;
}

static int shown(const remora_option *o)
{
    return o->key.len < SHOWN ? (int)o->key.len : SHOWN;
}

remora_status rmr_option_value(const remora_option *o, char *out, size_t cap, remora_error *err)
{
    const uint64_t n = o->value.len;
    RMR_ASSERT(cap > 0);
    if (n >= cap)
        RMR_FAIL(err, REMORA_E_ARG, "the value of %.*s has %llu bytes; supported are up to %zu",
                 shown(o), o->key.ptr, (unsigned long long)n, cap - 1);
    if (n > 0 && memchr(o->value.ptr, 0, (size_t)n) != NULL)
        RMR_FAIL(err, REMORA_E_ARG, "the value of %.*s has a NUL in it", shown(o), o->key.ptr);
    if (n > 0) memcpy(out, o->value.ptr, (size_t)n);
    out[n] = 0;
    return REMORA_OK;
}

remora_status rmr_option_unknown(const remora_option *o, const char *known, remora_error *err)
{
    RMR_FAIL(err, REMORA_E_UNSUPPORTED, "extra option \"%.*s\" is not known; %s", shown(o),
             o->key.len > 0 ? o->key.ptr : "", known);
}
