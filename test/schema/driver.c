/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas and documents line by line, for schema_data.py. Tokens are bytes.
 *
 *     O draft      for the schemas that follow; 0: as $schema says
 *     S schema     -> C, or E and the reason
 *     D document   -> R 1 or R 0
 *     G seed       -> G and a random document of the schema, or N: none ended, X: a dead end
 *                    or, as the status says, a limit */
#include <stdio.h>
#include <stdlib.h>

#include "constrain.h"
#include "schema.h"

enum { LINE = 1 << 22, LONGEST = 6000 };

static uint64_t seed;
static unsigned random_below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)((seed >> 20) % n);
}

static rmr_constraint *compile(rmr_mem *mem, const rmr_vocabulary *v, const char *text, int draft)
{
    remora_error err = {.struct_size = sizeof err};
    const rmr_schema_opts o = {.draft = draft};
    rmr_constraint *c = NULL;
    rmr_grammar *g = NULL;
    rmr_rule start;
    remora_status st = rmr_grammar_new(mem, NULL, &g, &err);
    if (st >= 0) st = rmr_schema(g, text, strlen(text), &o, &start, &err);
    if (st >= 0) st = rmr_grammar_finish(g, start, &err);
    if (st >= 0)
        st = rmr_constraint_new(mem, g, v, &c, &err);
    else
        rmr_grammar_free(g);
    if (st < 0)
        (void)printf("E %d %s\n", (int)st, err.message);
    else
        (void)printf("C\n");
    return st < 0 ? NULL : c;
}

static void read_document(rmr_constraint *c, const char *s)
{
    rmr_guide *m = NULL;
    int end = 0;
    remora_status st = rmr_guide_new(c, &m, NULL);
    for (; *s != 0 && st >= 0; s++) st = rmr_guide_accept(m, (unsigned char)*s, NULL);
    if (st >= 0) st = rmr_guide_may_end(m, &end, NULL);
    (void)printf("R %d\n", st >= 0 && end == 1);
    rmr_guide_free(m);
}

/* A byte of the mask; once the text is long, one that closes something if there is such. */
static int pick(const uint32_t *mask, size_t length)
{
    unsigned char fit[256];
    unsigned n = 0;
    const int in_string = constrain_bit(mask, 'a') && constrain_bit(mask, ']');
    const char *closing = in_string ? "\"" : "]}\"";
    for (; length > 80 && *closing != 0; closing++)
        if (constrain_bit(mask, (remora_token)*closing) && random_below(4) != 0) return *closing;
    for (int b = 0x20; b < 0x7F; b++)
        if (constrain_bit(mask, (remora_token)b)) fit[n++] = (unsigned char)b;
    for (int b = 0; b < 256 && (n == 0 || random_below(400) == 0); b++)
        if (constrain_bit(mask, (remora_token)b)) fit[n++] = (unsigned char)b;
    return n > 0 ? fit[random_below(n)] : -1;
}

static void generate(rmr_constraint *c)
{
    static char text[LONGEST + 1];
    uint32_t mask[CONSTRAIN_MASK];
    rmr_guide *m = NULL;
    size_t n = 0;
    int end = 0, b = 0;
    remora_status st = rmr_guide_new(c, &m, NULL);
    while (st >= 0 && n < LONGEST) {
        st = rmr_guide_may_end(m, &end, NULL);
        if (st < 0 || (end == 1 && (n > 80 || random_below(3) == 0))) break;
        st = rmr_guide_mask(m, mask, NULL);
        if (st < 0 || (b = pick(mask, n)) < 0) break;
        st = rmr_guide_accept(m, (remora_token)b, NULL);
        if (st >= 0) text[n++] = (char)b;
    }
    const char kind = end == 1 ? 'G' : n == LONGEST || st == REMORA_E_LIMIT ? 'N' : 'X';
    (void)printf("%c %.*s\n", kind, (int)n, text);
    rmr_guide_free(m);
}

int main(void)
{
    rmr_mem mem = {0};
    rmr_vocabulary *v = NULL;
    rmr_constraint *c = NULL;
    char *line = malloc(LINE);
    int draft = 0;
    rmr_mem_init(&mem);
    if (line == NULL ||
        rmr_vocabulary_new(&mem, CONSTRAIN_VOCAB, constrain_text, NULL, &v, NULL) < 0)
        return 1;
    while (fgets(line, LINE, stdin) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == 'O') draft = atoi(line + 1);
        if (line[0] == 'S') {
            rmr_constraint_free(c);
            c = compile(&mem, v, line + 2, draft);
        }
        if (line[0] == 'D' && c != NULL) read_document(c, line + 2);
        if (line[0] == 'G' && c != NULL) {
            seed = UINT64_C(0x9E3779B97F4A7C15) * (uint64_t)(atoi(line + 2) + 1);
            generate(c);
        }
        (void)fflush(stdout);
    }
    rmr_constraint_free(c);
    rmr_vocabulary_free(v);
    free(line);
    return mem.bytes != 0;
}
