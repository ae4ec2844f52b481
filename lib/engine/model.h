/* SPDX-License-Identifier: Apache-2.0 */
/* A loaded model, which the public handle points to: shape, weights on a backend, tokenizer, the
 * programs over them, and what its sessions share: cache pages and prepared steps. Immutable after
 * opening but for the counters and what is shared; any number of sessions may use it at once. */
#ifndef RMR_MODEL_H
#define RMR_MODEL_H

#include "contexts.h"
#include "dump.h"
#include "format.h"
#include "importance.h"
#include "lock.h"
#include "pages.h"
#include "program.h"
#include "runtime.h"
#include "vocabulary.h"

struct remora_model {
    remora_runtime *rt;
    rmr_backend *be;
    atomic_uint refs;
    uint32_t process;  /* that it was opened in */
    rmr_budget budget; /* all that rmr_model_memory() counts as the host's is taken from it, */
    rmr_budget device_budget; /* and the device's from this one */
    rmr_mem mem; /* the model's own memory besides weights: counted apart for the estimate */
    rmr_mem session_mem;     /* its sessions' structures and rows */
    rmr_pages pages;         /* of the caches of all sessions */
    rmr_pages predict_pages; /* of the prediction layer's, in sessions that have one */
    rmr_shape shape;
    rmr_weights weights;
    rmr_release source;       /* of the host's blobs and storage; set once the model is whole */
    rmr_origin *origin;       /* weights and tokenizer may lie in its files */
    atomic_int files_changed; /* seen once, believed ever after */
    rmr_tokenizer *tok;       /* NULL: token ids only */
    rmr_lock vocab_lock;
    rmr_vocabulary *vocab; /* its texts for constraints; NULL: there was none yet */
    rmr_metadata meta;
    rmr_buffer *routing; /* [all layers][n_experts] u64; NULL: no layer has experts */
    rmr_bytes routing_bytes;
    atomic_int count_routing;
    rmr_importance importance;
    atomic_uint_least64_t serial; /* sessions made so far */
    int has_weights;
    int refused; /* opened anyway: no layers, no constants, and a shape of which 0 is not known */
    uint64_t n_params, n_params_active;
    uint8_t fingerprint[32];
    char name[96];
    rmr_cache_layout cache; /* the streams of a page; empty when refused */
    rmr_programs programs;  /* empty when refused */
    rmr_contexts contexts;
    rmr_dump *dump; /* NULL: none is asked for */
};

/* Internal flag of remora_model_opts: with NO_WEIGHTS, leave the tensors out of the metadata (the
 * estimate counts what a model keeps, and a model with weights does not keep their names). */
#define RMR_MODEL_NO_TENSORS 0x80000000u

/* Everything: from files to a model that sessions can be made of. `src` and `opts` are full structs
 * of this version. Who calls it sees to the source's release hook. */
remora_status rmr_model_open(remora_runtime *rt, const remora_source *src,
                             const remora_model_opts *opts, remora_model **out, remora_error *err);
void rmr_model_ref(remora_model *m);
void rmr_model_unref(remora_model *m);

/* E_IO when the files that weights lie in have changed under the model, now or ever before. A look
 * at their descriptors, for the beginning of each evaluation. */
remora_status rmr_model_files_unchanged(remora_model *m, remora_error *err);

/* Change the ceilings of the host's and the device's memory, 0: none; any thread. Contexts that no
 * session counts on are given back as far as it takes. REMORA_MORE: running steps hold some of
 * those, which go when the steps end. E_NOMEM, E_DEVICE_MEM: what cannot be given back is more, and
 * nothing has changed. E_UNSUPPORTED: a ceiling for a device without memory of its own. */
remora_status rmr_model_set_budget(remora_model *m, uint64_t host, uint64_t device,
                                   remora_error *err);

/* The memory that the model and its sessions take now. It is made of the numbers that the
 * allocations use (P23). */
void rmr_model_memory(remora_model *m, remora_memory *out);

#endif
