/* SPDX-License-Identifier: Apache-2.0 */
/* The operations, a row each. It is included by those who make a table of them: the enum of ops.h,
 * the table of ops.c, the functions of the CPU. A new operation is a row here and a function in
 * each backend.
 *
 *     RMR_OP(KIND, name, function, reads, writes, weights, dims, cache, forms, width)
 *
 * It is RMR_OP_KIND in code and `name` for people. The CPU runs it by rmr_cpu_<function>. The
 * fields from reads to forms are those of rmr_op_info; width is a rule of ops.c, which says how
 * many columns of each view it uses.
 *
 * The comments say what is computed: out = f(in) reads and writes the views of those names, += adds
 * to what is there, "each head" are the heads of mla or gqa. */

/* clang-format off */

/* out = row token of the table w */
RMR_OP(EMBED, "embed", embed, 0, OUT, 1, 0, 0, ALL, plain_width)
/* out = cos, sin of pos * w[pair], times amp */
RMR_OP(ROPE_TABLE, "rope-table", rope_table, 0, OUT, 1, 0, 0, ALL, product_width)
/* out = RMSNorm(in; w, eps) of n numbers, or of each of `parts` parts of n */
RMR_OP(NORM, "norm", norm, IN, OUT, 1, 0, 0, ALL, norm_width)
/* out = w in (+ bias); with `add` out += */
RMR_OP(LINEAR, "linear", linear, IN, OUT, 1, 0, 0, ALL, product_width)
/* out = silu(w in) * (w2 in) */
RMR_OP(SWIGLU, "swiglu", swiglu, IN, OUT, 2, 0, 0, ALL, product_width)
/* in = in, the rotary part of every head rotated by the table in2 */
RMR_OP(ROPE, "rope", rope, IN | IN2, IN, 0, 0, 0, ALL, rope_width)
/* mla: in = [latent normed by w | rope key rotated by in2], stream[pos] = in.
 * gqa: stream[pos] = in, [keys | values] */
RMR_OP(CACHE_WRITE, "cache-write", cache_write,
       IN | IN2, IN, 0, MLA | GQA, RMR_CACHE_WRITES, ALL, cache_width)
/* absorbed rows, each head: out = [w q_nope | q_rope], in = queries */
RMR_OP(ABSORB, "absorb", absorb, IN, OUT, 1, MLA, 0, ABSORBED, absorb_width)
/* absorbed rows, each head: out = softmax(in . stream) latents */
RMR_OP(ATTEND_LATENT, "attend-latent", attend_latent,
       IN, OUT, 0, MLA, RMR_CACHE_READS, ABSORBED, latent_width)
/* absorbed rows, each head: out = w in */
RMR_OP(UNABSORB, "unabsorb", unabsorb, IN, OUT, 1, MLA, 0, ABSORBED, unabsorb_width)
/* expanded rows, each head: out = softmax(in . keys) values, which are rebuilt from the stream by
 * w (transposed, as ABSORB's) and w2 */
RMR_OP(ATTEND_EXPANDED, "attend-expanded", attend_expanded,
       IN, OUT, 2, MLA, RMR_CACHE_READS, EXPANDED, expanded_width)
/* all rows, each head: out = softmax(in . keys) values of its group */
RMR_OP(ATTEND_GROUPED, "attend-grouped", attend_grouped,
       IN, OUT, 0, GQA, RMR_CACHE_READS, ALL, grouped_width)
/* out, out2 = ids and weights of the experts chosen by the router logits in (w: correction bias or
 * NULL); with count_routing counts += them */
RMR_OP(GATE, "gate", gate, IN | COUNTS, OUT | OUT2 | COUNTS, 0, MOE, 0, ALL, gate_width)
/* out = silu(w in) * (w2 in) of each expert of in2, one after another; out2 = the same of the
 * shared experts s1, s2 */
RMR_OP(EXPERTS_SWIGLU, "experts-swiglu", experts_swiglu,
       IN | IN2, OUT | OUT2, 2, MOE, 0, ALL, experts_width)
/* in = [out | out2] of EXPERTS_SWIGLU: out += w in of each expert of in2, weighted by in3; then
 * += s1 in of the shared experts */
RMR_OP(EXPERTS_DOWN, "experts-down", experts_down,
       IN | IN2 | IN3 | OUT, OUT, 1, MOE, 0, ALL, experts_width)
/* out[i] = in[want[i]], the rows that step_want() gave */
RMR_OP(PICK_ROWS, "pick-rows", pick_rows, IN, OUT, 0, 0, 0, ALL, plain_width)
/* counts = 0 */
RMR_OP(COUNTS_CLEAR, "counts-clear", counts_clear, 0, COUNTS, 0, 0, 0, ALL, no_width)
/* the model's counters += counts; once, when the step is complete */
RMR_OP(COUNTS_ADD, "counts-add", counts_add, COUNTS, 0, 0, 0, 0, ALL, no_width)

#ifdef RMR_MORE_OPS /* the rows of a test: the name of its file */
#include RMR_MORE_OPS
#endif

/* clang-format on */
