/* SPDX-License-Identifier: Apache-2.0 */
/* Members that are written one by one, with strings as they are and all else as JSON. */
#include "schema_parts.h"

enum { LIVE_STEPS = 1000000 };

schema *rmr_schema_raw(schema *s)
{
    if (s->raw != NULL) return s->raw;
    schema *r = rmr_schema_take(s, 1, sizeof *r);
    if (r == NULL) return NULL;
    r->g = s->g;
    r->rx = s->rx;
    r->pool.mem = s->pool.mem;
    r->o = s->o;
    r->o.left_out = NULL; /* it has been listed */
    r->root = s->root;
    r->spelling = RMR_SPELL_UTF8;
    r->of_string = s->of_string;
    r->count = s->count;
    r->draft = s->draft;
    r->unevaluated = s->unevaluated;
    r->queue_end = &r->queue;
    r->err = s->err;
    r->yes.kind = RMR_JSON_TRUE;
    r->no.kind = RMR_JSON_FALSE;
    return s->raw = r;
}

/* The value's literals and one more. */
static schema_term *with(schema *s, const schema_literal *lits, uint32_t n, schema_literal more)
{
    schema_literal *a = rmr_schema_take(s, n + (size_t)1, sizeof *a);
    if (a == NULL) return NULL;
    for (uint32_t i = 0; i < n; i++) a[i] = lits[i];
    a[n] = more;
    return rmr_schema_term_of(s, a, n + 1);
}

/* The strings of the value, as they are. */
static rmr_rx strings_of(schema *s, const schema_literal *lits, uint32_t n, rmr_rx may)
{
    schema *r = rmr_schema_raw(s);
    uint64_t fuel = LIVE_STEPS;
    if (r == NULL) return RMR_RX_NONE;
    const schema_union *u = rmr_schema_expand(r, with(r, lits, n, rmr_schema_of(s->of_string)));
    if (r->st < 0 && s->st >= 0) s->st = r->st;
    if (u == NULL) return RMR_RX_NONE;
    const rmr_rx a = rmr_rx_and2(s->rx, rmr_schema_whole(r, u->string, 1), may);
    return rmr_rx_live(s->rx, a, &fuel) ? a : RMR_RX_NONE;
}

int rmr_schema_member(schema *s, const rmr_schema_members *as, const schema_name *key,
                      const schema_literal *lits, uint32_t n, rmr_symbol *out)
{
    const int kind =
        key != NULL && as->kind != NULL ? as->kind(as->user, key->text, key->n) : RMR_MEMBER_EITHER;
    const rmr_rule r = rmr_rule_new(s->g, "argument", 8);
    int any = 0;
    if (kind != RMR_MEMBER_JSON) {
        const rmr_rx a = strings_of(s, lits, n, kind == RMR_MEMBER_TEXT ? as->strings : as->vague);
        const rmr_symbol line[] = {rmr_call(as->text), rmr_lexeme(a), rmr_call(as->close)};
        if (a != RMR_RX_NONE) rmr_rule_alt(s->g, r, line, 3);
        any |= a != RMR_RX_NONE;
    }
    if (kind != RMR_MEMBER_TEXT) {
        schema_term *t = with(s, lits, n, rmr_schema_not(rmr_schema_of(s->of_string)));
        if (t != NULL && !rmr_schema_term_empty(s, t)) {
            const rmr_symbol line[] = {rmr_call(as->json), rmr_schema_symbol(s, t),
                                       rmr_call(as->close)};
            rmr_rule_alt(s->g, r, line, 3);
            any = 1;
        }
    }
    *out = rmr_call(r);
    return any && !rmr_schema_failed(s);
}
