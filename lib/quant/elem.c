/* SPDX-License-Identifier: Apache-2.0 */
/* Element types by their names. */
#include <string.h>

#include "quant.h"

rmr_elem rmr_elem_find(const char *name)
{
    int e = 0;
    while (e < RMR_ELEM_COUNT && strcmp(rmr_elem_table[e].name, name) != 0) e++;
    return (rmr_elem)e;
}
