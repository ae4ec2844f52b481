/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a call before its work is done: the host's cancel word, or a time. Workers look before
 * each item of work that they begin, and each call gets one item done. */
#ifndef RMR_HALT_H
#define RMR_HALT_H

#include <stdatomic.h>
#include <stdint.h>

typedef enum rmr_halt_cause { RMR_HALT_NONE, RMR_HALT_TIME, RMR_HALT_CANCEL } rmr_halt_cause;

/* The stop of one call, by its cancel word or its time. The workers of the call share it. */
typedef struct rmr_halt {
    const int32_t *cancel;       /* may be NULL */
    uint64_t end_us;             /* by rmr_clock_us(); 0: no such time */
    _Atomic uint32_t begun;      /* an item has been begun, which nothing stops */
    _Atomic uint32_t cause;      /* rmr_halt_cause: what has stopped somebody */
    _Atomic uint64_t looked_us;  /* the time of the last look */
    _Atomic uint64_t longest_us; /* the longest item, or time between two looks */
} rmr_halt;

/* One worker's pace in a region: the time of an item follows from the items before it. */
typedef struct rmr_pace {
    uint64_t at_us;    /* the end of the last item; 0: there was none */
    uint64_t chunk_ns; /* what a chunk of it took; 0: not known */
} rmr_pace;

/* The budget of a call that began at start_us; 0: none. */
void rmr_halt_init(rmr_halt *s, const int32_t *cancel, int64_t budget_us, uint64_t start_us);

/* May the worker begin an item of n chunks? Not when the word is set, nor when the item would
 * likely end behind the end. With n 0: may the call go on? */
int rmr_halt_allows(rmr_halt *s, rmr_pace *p, uint32_t n);

/* Work that does not look has been begun: the call has got something done. */
void rmr_halt_begun(rmr_halt *s);

/* The worker has done that item. */
void rmr_halt_item_done(rmr_halt *s, rmr_pace *p, uint32_t n);

/* The call ends: the time since the last look counts too. Returns the longest of them. */
uint64_t rmr_halt_longest(rmr_halt *s);

#endif
