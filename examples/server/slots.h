/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that jobs run in. A slot that is free keeps its timeline until another job needs it. */
#ifndef SV_SLOTS_H
#define SV_SLOTS_H

#include "job.h"

typedef struct sv_slot {
    remora_session *s;    /* NULL: not made yet */
    sv_job *job;          /* NULL: the slot is free */
    remora_token *tokens; /* the timeline */
    size_t n;
    uint64_t used;   /* when a job left it last, counted in jobs */
    uint64_t since;  /* the number of its job */
    int is_decoding; /* its prompt is evaluated */
} sv_slot;

typedef struct sv_slots {
    const sv_model *m;
    remora_session_opts opts;
    sv_slot *v;
    uint32_t n;
    uint64_t clock; /* jobs so far */
} sv_slots;

int sv_slots_make(sv_slots *s, const sv_model *m, const remora_session_opts *o, uint32_t n);
void sv_slots_free(sv_slots *s);

/* A slot for the job, with its prompt in the timeline and as much of it evaluated as a timeline has
 * in common with it; there must be a free one. */
remora_status sv_slots_place(sv_slots *s, sv_job *j, sv_slot **out, remora_error *err);
remora_status sv_slot_append(sv_slots *s, sv_slot *slot, remora_token t, remora_error *err);
void sv_slot_leave(sv_slots *s, sv_slot *slot);  /* its job is finished; the timeline stays */
void sv_slot_forget(sv_slots *s, sv_slot *slot); /* the timeline goes too */

#endif
