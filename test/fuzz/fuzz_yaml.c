/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as YAML: a tree or a status, and a tree that is written is read back equal. */
#include <stdlib.h>

#include "yamltree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *tree, *back;
    char *text;
    size_t n;
    rmr_mem mem = {0};
    remora_error err = {.struct_size = sizeof err};
    rmr_mem_init(&mem);
    const remora_status st = rmr_yaml_parse("f", data, size, 20000, &tree, &err);
    require(st == REMORA_OK || st == REMORA_E_FORMAT);
    require((st == REMORA_OK) == (tree != NULL));
    if (tree == NULL) return 0;
    require(rmr_yaml_write(&mem, tree, &text, &n, &err) == REMORA_OK);
    require(rmr_yaml_parse("g", text, n, 20000, &back, &err) == REMORA_OK);
    require(json_equal(tree, back));
    rmr_free(&mem, text, n + 1);
    json_decref(back);
    json_decref(tree);
    require(atomic_load(&mem.bytes) == 0);
    return 0;
}
