/* SPDX-License-Identifier: Apache-2.0 */
#include "slots.h"

#include <stdlib.h>
#include <string.h>

enum { WORTH_A_FORK = 8 }; /* tokens that are not computed again */

int sv_slots_make(sv_slots *s, const sv_model *m, const remora_session_opts *o, uint32_t n)
{
    *s = (sv_slots){.m = m, .opts = *o, .n = n};
    if ((s->v = calloc(n, sizeof *s->v)) == NULL) return -1;
    for (uint32_t i = 0; i < n; i++)
        if ((s->v[i].tokens = malloc(o->capacity * sizeof *s->v[i].tokens)) == NULL) return -1;
    return 0;
}

void sv_slots_free(sv_slots *s)
{
    for (uint32_t i = 0; s->v != NULL && i < s->n; i++) {
        remora_session_free(s->v[i].s);
        free(s->v[i].tokens);
    }
    free(s->v);
    s->v = NULL;
}

/* Tokens of the prompt that the slot has evaluated. The last one of a prompt needs a row, and is
 * never counted. */
static size_t in_common(const sv_slot *slot, const sv_job *j)
{
    remora_session_info info = {.struct_size = sizeof info};
    size_t n = 0;
    if (slot->s == NULL || remora_session_get_info(slot->s, &info, NULL) < 0) return 0;
    const size_t most = slot->n < info.committed ? slot->n : (size_t)info.committed;
    while (n < most && n + 1 < j->n_prompt && slot->tokens[n] == j->prompt[n]) n++;
    return n;
}

/* The free slot that was left longest ago. */
static sv_slot *oldest(sv_slots *s, const sv_slot *but)
{
    sv_slot *best = NULL;
    for (uint32_t i = 0; i < s->n; i++) {
        sv_slot *slot = &s->v[i];
        if (slot->job == NULL && slot != but && (best == NULL || slot->used < best->used))
            best = slot;
    }
    return best;
}

/* Make `to` go on from where `from` is. Without memory for that it begins anew. */
static void fork_from(sv_slot *to, sv_slot *from)
{
    remora_session *child = NULL;
    if (remora_session_fork(from->s, &child, NULL) < 0) return;
    remora_session_free(to->s);
    to->s = child;
    to->n = from->n;
    memcpy(to->tokens, from->tokens, from->n * sizeof *to->tokens);
}

/* Whose timeline the job goes on from, and where. A timeline of which the job needs a part alone
 * stays for others where there is another free slot. */
static sv_slot *choose(sv_slots *s, const sv_job *j)
{
    sv_slot *from = NULL;
    size_t common = 0;
    for (uint32_t i = 0; i < s->n && !j->r.fresh; i++) {
        const size_t n = in_common(&s->v[i], j);
        const int better = n > common || (n == common && n > 0 && s->v[i].job == NULL);
        if (better) from = &s->v[i];
        if (better) common = n;
    }
    if (from != NULL && from->job == NULL && 2 * common >= from->n) return from;
    sv_slot *to = oldest(s, from);
    if (to == NULL) return from;
    if (from != NULL && common >= WORTH_A_FORK) fork_from(to, from);
    return to;
}

/* Memory of timelines that no job uses. 0: there was none. */
static int give_back(sv_slots *s)
{
    int any = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->v[i].job != NULL || s->v[i].s == NULL || s->v[i].n == 0) continue;
        sv_slot_forget(s, &s->v[i]);
        any = 1;
    }
    return any;
}

static remora_status put_prompt(sv_slots *s, sv_slot *slot, const sv_job *j, size_t *reused,
                                remora_error *err)
{
    if (slot->s == NULL) {
        const remora_status st = remora_session_create(s->m->model, &s->opts, &slot->s, err);
        if (st < 0) return st;
    }
    if (j->r.fresh && remora_session_trim(slot->s, 0, err) < 0) return err->code;
    return remora_session_sync(slot->s, j->prompt, j->n_prompt, REMORA_WANT_LAST, reused, err);
}

remora_status sv_slots_place(sv_slots *s, sv_job *j, sv_slot **out, remora_error *err)
{
    sv_slot *slot = choose(s, j);
    size_t reused = 0;
    slot->job = j; /* it is not free for give_back() */
    remora_status st = put_prompt(s, slot, j, &reused, err);
    if (st == REMORA_E_NOMEM && give_back(s)) st = put_prompt(s, slot, j, &reused, err);
    if (st < 0) {
        sv_slot_forget(s, slot);
        return st;
    }
    memcpy(slot->tokens, j->prompt, j->n_prompt * sizeof *slot->tokens);
    slot->n = j->n_prompt;
    slot->since = ++s->clock;
    slot->is_decoding = 0;
    j->answer.n_cached = reused < j->n_prompt ? reused : j->n_prompt;
    *out = slot;
    return REMORA_OK;
}

remora_status sv_slot_append(sv_slots *s, sv_slot *slot, remora_token t, remora_error *err)
{
    remora_status st = remora_session_append(slot->s, &t, 1, REMORA_WANT_LAST, err);
    if (st == REMORA_E_NOMEM && give_back(s))
        st = remora_session_append(slot->s, &t, 1, REMORA_WANT_LAST, err);
    if (st >= 0) slot->tokens[slot->n++] = t;
    return st;
}

void sv_slot_leave(sv_slots *s, sv_slot *slot)
{
    slot->job = NULL;
    slot->used = ++s->clock;
}

void sv_slot_forget(sv_slots *s, sv_slot *slot)
{
    remora_session_free(slot->s);
    slot->s = NULL;
    slot->n = 0;
    sv_slot_leave(s, slot);
}
