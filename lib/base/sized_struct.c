/* SPDX-License-Identifier: Apache-2.0 */
#include "sized_struct.h"

#include <string.h>

static remora_status check_size(uint32_t n, uint32_t first, const char *what, remora_error *err)
{
    if (n < first || n > RMR_STRUCT_LIMIT)
        RMR_FAIL(err, REMORA_E_STRUCT,
                 "%s: struct_size is %u; supported are %u, its size in release 1.0, to %d", what, n,
                 first, RMR_STRUCT_LIMIT);
    return REMORA_OK;
}

remora_status rmr_struct_in(void *known, uint32_t size, uint32_t first, const void *given,
                            const char *what, remora_error *err)
{
    uint32_t n;
    RMR_ASSERT(first >= sizeof n && first <= size);
    memset(known, 0, size);
    if (given == NULL) {
        memcpy(known, &size, sizeof size);
        return REMORA_OK;
    }
    memcpy(&n, given, sizeof n);
    RMR_TRY(check_size(n, first, what, err));
    memcpy(known, given, n < size ? n : size);
    for (uint32_t i = size; i < n; i++)
        if (((const unsigned char *)given)[i] != 0)
            RMR_FAIL(err, REMORA_E_STRUCT, "%s: byte %u is set, this library knows %u bytes", what,
                     i, size);
    memcpy(known, &size, sizeof size);
    return REMORA_OK;
}

remora_status rmr_struct_out(void *out, const void *known, uint32_t size, uint32_t first,
                             const char *what, remora_error *err)
{
    uint32_t n;
    RMR_ASSERT(first >= sizeof n && first <= size);
    memcpy(&n, out, sizeof n);
    RMR_TRY(check_size(n, first, what, err));
    memcpy(out, known, n < size ? n : size);
    if (n > size) memset((unsigned char *)out + size, 0, n - size);
    memcpy(out, &n, sizeof n);
    return REMORA_OK;
}
