/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a recipe: a status that says why not, or a type that fits for every weight. */
#include <stdlib.h>
#include <string.h>

#include "recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"model.embed_tokens", "lm_head", "model.norm",
                                        "model.layers.10.mlp.experts.down_proj",
                                        "model.layers.0.self_attn.kv_b_proj.absorb"};
    static const uint32_t cols[] = {256, 96, 40, 7};
    remora_error err = {.struct_size = sizeof err};
    rmr_recipe r;
    char *text = malloc(size + 1);
    if (text == NULL) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    const remora_status st = rmr_recipe_open(text, &r, &err);
    free(text);
    require(st == REMORA_OK || st == REMORA_E_FORMAT || st == REMORA_E_NOT_FOUND);
    require((st == REMORA_OK) == (r.root != NULL) && (st == REMORA_OK || err.message[0] != 0));
    for (size_t i = 0; st == REMORA_OK && i < sizeof names / sizeof *names * 8; i++) {
        rmr_weight_plan_item it = {.desc = {.use = i % 8 < 4 ? RMR_USE_MATRIX : RMR_USE_VECTOR,
                                            .elem = RMR_ELEM_BF16,
                                            .count = 1,
                                            .rows = 16,
                                            .cols = cols[i % 4]}};
        strcpy(it.name, names[i / 8]);
        const rmr_elem e = rmr_recipe_elem(&r, &it);
        require(e < RMR_ELEM_COUNT && rmr_elem_fits(e, it.desc.cols));
    }
    rmr_recipe_free(&r);
    return 0;
}
