/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "tmem.h"
#include "aligned.h"

#include <stdlib.h>
#include <string.h>

enum { CANARY = 64, FILL = 0xA5 };

typedef struct head {
    size_t size, align;
} head;

static size_t head_room(size_t align)
{
    return align > sizeof(head) ? align : sizeof(head) + align;
}

void *tmem_alloc(void *user, size_t size, size_t align)
{
    tmem *t = user;
    const long call = atomic_fetch_add(&t->calls, 1) + 1, at = atomic_load(&t->fail_at);
    const long n = atomic_load(&t->fail_n) > 0 ? atomic_load(&t->fail_n) : 1;
    void *base = NULL;
    if (at > 0 && call >= at && call < at + n) {
        atomic_store(&t->failed, size);
        return NULL;
    }
    const size_t room = head_room(align);
    if (posix_memalign(&base, align < sizeof(void *) ? sizeof(void *) : align,
                       room + size + CANARY) != 0)
        return NULL;
    unsigned char *p = (unsigned char *)base + room;
    const head h = {size, align};
    memcpy(p - sizeof h, &h, sizeof h);
    memset(p, 0xEE, size); /* nothing may rely on zeroed memory */
    memset(p + size, FILL, CANARY);
    atomic_fetch_add(&t->blocks, 1);
    const long long live = atomic_fetch_add(&t->bytes, (long long)size) + (long long)size;
    long long peak = atomic_load(&t->peak);
    while (live > peak && !atomic_compare_exchange_weak(&t->peak, &peak, live)) {
    }
    return p;
}

void tmem_release(void *user, void *ptr, size_t size, size_t align)
{
    tmem *t = user;
    unsigned char *p = ptr;
    head h;
    memcpy(&h, p - sizeof h, sizeof h);
    if (h.size != size || h.align != align) atomic_fetch_add(&t->damage, 1);
    for (int i = 0; i < CANARY; i++)
        if (p[h.size + (size_t)i] != FILL) {
            atomic_fetch_add(&t->damage, 1);
            break;
        }
    atomic_fetch_sub(&t->blocks, 1);
    atomic_fetch_sub(&t->bytes, (long long)h.size);
    memset(p, 0xDD, h.size);
    aligned_delete(p - head_room(h.align));
}

void *tmem_resize(void *user, void *p, size_t old_size, size_t size, size_t align)
{
    void *q = tmem_alloc(user, size, align);
    if (q == NULL) return NULL;
    memcpy(q, p, old_size < size ? old_size : size);
    tmem_release(user, p, old_size, align);
    return q;
}

void tmem_arm(tmem *t, long k)
{
    atomic_store(&t->calls, 0);
    atomic_store(&t->fail_at, k);
}

int tmem_answer_is_right(const tmem *t, long k, int failed)
{
    if (atomic_load(&t->calls) < k) return !failed;
    return failed || (t->is_cache != NULL && t->is_cache(atomic_load(&t->failed)));
}

long tmem_sweep(tmem *t, int32_t (*body)(void *arg, tmem *t), void *arg)
{
    const long before = atomic_load(&t->blocks);
    for (long k = 1;; k++) {
        tmem_arm(t, k);
        const int right = tmem_answer_is_right(t, k, body(arg, t) < 0);
        const long calls = atomic_load(&t->calls);
        tmem_arm(t, 0);
        if (!right || atomic_load(&t->blocks) != before || atomic_load(&t->damage) != 0) return -k;
        if (calls < k) return k - 1;
    }
}
