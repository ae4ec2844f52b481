/* SPDX-License-Identifier: Apache-2.0 */
/* Making constraints of a model from grammars, whoever builds them. */
#ifndef RMR_CONSTRAINT_HANDLE_H
#define RMR_CONSTRAINT_HANDLE_H

#include "grammar.h"
#include "model.h"

/* Build the grammar and finish it. */
typedef remora_status (*rmr_api_grammar)(rmr_grammar *g, void *user, remora_error *err);

/* A constraint over the vocabulary of a model that has a tokenizer. */
remora_status rmr_api_constraint(remora_model *m, const rmr_limits *lim, rmr_api_grammar make,
                                 void *user, remora_constraint **out, remora_error *err);

/* Writes into the log of the model's runtime that `what` of a lax schema is left out. */
void rmr_api_left_out(void *model, const char *what);

#endif
