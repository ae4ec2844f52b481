/* SPDX-License-Identifier: Apache-2.0 */
/* iv_dot from dot products of signed bytes with a lane of the activations (sdot). */
FORCE ivec iv_dot(const rmr_elem type, const ivec *code, const int n, const int8_t *q, ivec start)
{
    int32x4_t sum = vreinterpretq_s32_s8(start);
    (void)type;
    UNROLL for (int g = 0; g < n; g += 4)
    {
        const ivec x = iv_load(q + (size_t)4 * (size_t)g);
        sum = vdotq_laneq_s32(sum, code[g], x, 0);
        sum = vdotq_laneq_s32(sum, code[g + 1], x, 1);
        sum = vdotq_laneq_s32(sum, code[g + 2], x, 2);
        sum = vdotq_laneq_s32(sum, code[g + 3], x, 3);
    }
    return bytes_of(sum);
}

#define KV8_DOT
FORCE ivec kv8_dot(ivec sum, ivec code, const int8_t *p)
{
    int32_t four;
    memcpy(&four, p, 4);
    return bytes_of(vdotq_s32(vreinterpretq_s32_s8(sum), code, bytes_of(vdupq_n_s32(four))));
}
