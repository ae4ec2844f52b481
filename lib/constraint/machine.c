/* SPDX-License-Identifier: Apache-2.0 */
/* The machine as a whole: its memory, its limits, and dropping what it has built. */
#include <stdio.h>
#include <string.h>

#include "machine.h"
#include "rows.h"

int rmr_machine_room(rmr_machine *m, void *items, size_t *cap, size_t need, size_t size)
{
    return rmr_grammar_room(m->g, items, cap, need, size);
}

int rmr_machine_put(rmr_machine *m, rmr_map *map, uint64_t key, uint64_t more, uint32_t value)
{
    if (machine_failed(m)) return 0;
    if (rmr_map_put(map, m->mem, key, more, value)) return 1;
    rmr_rx_no_memory(m->rx, 2 * map->cap * sizeof *map->slots);
    return 0;
}

int rmr_machine_step(rmr_machine *m, uint64_t n, rmr_rule rule)
{
    m->rx->steps += n;
    if (m->rx->steps <= m->g->lim.step) return !machine_failed(m);
    char name[64], text[200];
    snprintf(text, sizeof text, "the constraint takes more steps than its limit \"step\" has%s%s",
             rule != 0 ? ", in the rule " : "", rmr_grammar_name(m->g, rule, name));
    rmr_rx_fail(m->rx, REMORA_E_LIMIT, text);
    return 0;
}

static void free_maps(rmr_machine *m)
{
    rmr_map *all[] = {&m->lex_by,  &m->rows_by,  &m->states_by, &m->next_by,   &m->row_after,
                      &m->regs_by, &m->texts_by, &m->seen_by,   &m->unique_by, &m->work_by};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) rmr_map_free(all[i], m->mem);
}

static void free_all(rmr_machine *m)
{
    rmr_mem *mem = m->mem;
    free_maps(m);
    rmr_free(mem, m->lex, m->cap_lex * sizeof *m->lex);
    rmr_free(mem, m->pairs, m->cap_pairs * sizeof *m->pairs);
    rmr_free(mem, m->lex_next, m->cap_lex_next * sizeof *m->lex_next);
    rmr_free(mem, m->rows, m->cap_rows * sizeof *m->rows);
    rmr_free(mem, m->items, m->cap_items * sizeof *m->items);
    rmr_free(mem, m->lexemes, m->cap_lexemes * sizeof *m->lexemes);
    rmr_free(mem, m->conts, m->cap_conts * sizeof *m->conts);
    rmr_free(mem, m->states, m->cap_states * sizeof *m->states);
    rmr_free(mem, m->scans, m->cap_scans * sizeof *m->scans);
    rmr_free(mem, m->regs, m->cap_regs * sizeof *m->regs);
    rmr_free(mem, m->texts, m->cap_texts * sizeof *m->texts);
    rmr_free(mem, m->seen, m->cap_seen * sizeof *m->seen);
    rmr_free(mem, m->work, m->cap_work * sizeof *m->work);
    rmr_free(mem, m->wants, m->cap_wants * sizeof *m->wants);
    rmr_free(mem, m->backs, m->cap_backs * sizeof *m->backs);
    rmr_free(mem, m->ended, m->cap_ended * sizeof *m->ended);
    rmr_free(mem, m->scan_work, m->cap_scan_work * sizeof *m->scan_work);
    rmr_free(mem, m->pair_work, m->cap_pair_work * sizeof *m->pair_work);
    rmr_free(mem, m->spelling, m->cap_spelling);
}

/* Numbers that mean nothing, or the first of their kind, are there from the beginning. */
static int begin(rmr_machine *m)
{
    if (!rmr_machine_room(m, &m->lex, &m->cap_lex, 32, sizeof *m->lex) ||
        !rmr_machine_room(m, &m->rows, &m->cap_rows, 32, sizeof *m->rows) ||
        !rmr_machine_room(m, &m->conts, &m->cap_conts, 32, sizeof *m->conts) ||
        !rmr_machine_room(m, &m->states, &m->cap_states, 32, sizeof *m->states) ||
        !rmr_machine_room(m, &m->regs, &m->cap_regs, 8, sizeof *m->regs) ||
        !rmr_machine_room(m, &m->texts, &m->cap_texts, 8, sizeof *m->texts) ||
        !rmr_machine_room(m, &m->seen, &m->cap_seen, 8, sizeof *m->seen) ||
        !rmr_machine_room(m, &m->lex_next, &m->cap_lex_next, (size_t)32 * m->n_classes,
                          sizeof *m->lex_next))
        return 0;
    memset(m->lex, 0, 2 * sizeof *m->lex);
    memset(m->lex_next, 0, 2 * m->n_classes * sizeof *m->lex_next);
    for (unsigned c = 0; c < m->n_classes; c++) m->lex_next[m->n_classes + c] = LEX_DEAD;
    m->lex[LEX_DEAD] = (lex_state){.near = LEX_DEAD, .ends = 1};
    memset(&m->rows[0], 0, sizeof m->rows[0]);
    memset(&m->conts[0], 0, sizeof m->conts[0]);
    memset(m->states, 0, 2 * sizeof *m->states);
    m->regs[0] = (reg_value){0, 0};
    m->texts[0] = m->seen[0] = (chained){0, 0};
    m->n_lex = m->n_states = 2;
    m->n_rows = m->n_conts = m->n_regs = m->n_texts = m->n_seen = 1;
    m->start = rmr_state_of_row(m, rmr_row_first(m));
    return !machine_failed(m);
}

remora_status rmr_machine_init(rmr_machine *m, rmr_grammar *g, uint32_t longest, remora_error *err)
{
    memset(m, 0, sizeof *m);
    m->g = g;
    m->rx = g->rx;
    m->mem = &g->mem;
    m->longest = longest;
    m->rx->steps = 0;
    m->n_classes = m->rx->n_classes;
    rmr_rx_mark(m->rx);
    begin(m);
    return rmr_rx_status(m->rx, err);
}

void rmr_machine_free(rmr_machine *m)
{
    if (m->g != NULL) free_all(m);
    m->g = NULL;
}

remora_status rmr_machine_reset(rmr_machine *m, remora_error *err)
{
    rmr_grammar *g = m->g;
    const uint32_t longest = m->longest;
    free_all(m);
    rmr_rx_reset(g->rx);
    memset(m, 0, sizeof *m);
    m->g = g;
    m->rx = g->rx;
    m->mem = &g->mem;
    m->longest = longest;
    m->n_classes = m->rx->n_classes;
    begin(m);
    return rmr_rx_status(m->rx, err);
}
