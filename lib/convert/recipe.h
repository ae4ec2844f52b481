/* SPDX-License-Identifier: Apache-2.0 */
/* Quantisation recipes: which element type each weight of a pack gets (docs/quality.md). */
#ifndef RMR_RECIPE_H
#define RMR_RECIPE_H

#include <jansson.h>

#include "weight_plan.h"

/* An ordered list of patterns on weight names; the first that matches decides. */
typedef struct rmr_recipe {
    json_t *root; /* {name, rules: [{match, type}, ...]}, checked */
} rmr_recipe;

/* A built-in recipe by name ("experts-q4") or, where the text has a line end or a ':', YAML.
 * E_FORMAT with line and column, or naming the rule that is wrong; E_NOT_FOUND lists the names
 * there are. */
remora_status rmr_recipe_open(const char *text, rmr_recipe *out, remora_error *err);
void rmr_recipe_free(rmr_recipe *r);

/* The type that the item gets: the rule's where the weight can have it, else the nearest above that
 * it can have. Norms and biases become F32; the router keeps its type. */
rmr_elem rmr_recipe_elem(const rmr_recipe *r, const rmr_weight_plan_item *it);

/* The i-th built-in recipe's name and text; NULL past the end. */
const char *rmr_recipe_builtin(uint32_t i, const char **text);

#endif
