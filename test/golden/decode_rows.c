/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as they are stored, from standard input, to floats on standard output. Arguments: element
 * type and columns. */
#include <stdio.h>
#include <stdlib.h>

#include "quant.h"

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    const rmr_elem e = rmr_elem_find(argv[1]);
    const uint32_t cols = (uint32_t)strtoul(argv[2], NULL, 10);
    if (e == RMR_ELEM_COUNT || cols == 0 || !rmr_elem_fits(e, cols)) return 2;
    const size_t bytes = (size_t)rmr_row_bytes(e, cols);
    unsigned char *row = malloc(bytes);
    float *values = malloc(cols * sizeof *values);
    int ok = row != NULL && values != NULL;
    while (ok && fread(row, 1, bytes, stdin) == bytes) {
        rmr_row_decode(e, values, row, cols);
        ok = fwrite(values, sizeof *values, cols, stdout) == cols;
    }
    free(row);
    free(values);
    return !ok || ferror(stdin) || fflush(stdout) != 0;
}
