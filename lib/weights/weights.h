/* SPDX-License-Identifier: Apache-2.0 */
/* The weights of a model on a backend: those of each layer, those outside the layers, and the
 * constants that programs read as weights. Planning says which there are (weight_plan.h), loading
 * fills them in, and one function frees them, however far opening got. */
#ifndef RMR_WEIGHTS_H
#define RMR_WEIGHTS_H

#include "file_pages.h"
#include "weight_table.h"

typedef struct rmr_weights {
    rmr_backend *be;
    rmr_mem *mem; /* of the table of layers */
    uint32_t n_layers;
    rmr_layer *layers; /* [n_layers], or NULL: nothing is planned. Those that predict are behind the
                          others */
    rmr_weight *embed, *norm, *head;
    rmr_weight *inv_freq;     /* the frequencies of the rotary embedding, one for each pair */
    rmr_bytes weight_bytes;   /* of the planned weights on the backend */
    uint64_t mapped_bytes;    /* bytes of the weights that are used where they lie in the source */
    rmr_file_pages pages;     /* in which the system has those */
    rmr_bytes constant_bytes; /* of inv_freq */
} rmr_weights;

/* Empty layers, for the plan to point into. */
remora_status rmr_weights_make(rmr_weights *w, rmr_backend *be, rmr_mem *mem, uint32_t n_layers,
                               remora_error *err);

/* The constants that follow from the shape. */
remora_status rmr_weights_add_constants(rmr_weights *w, const rmr_shape *s, remora_error *err);

/* A zeroed struct is fine too. */
void rmr_weights_free(rmr_weights *w);

#endif
