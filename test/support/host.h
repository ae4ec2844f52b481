/* SPDX-License-Identifier: Apache-2.0 */
/* What a host program does again and again, for tests that use the public header alone. A step that
 * must not fail and does ends the program, naming the line: these helpers also run in threads and
 * child processes, where cmocka's assertions cannot. */
#ifndef HOST_H
#define HOST_H

#include <remora/remora.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "tmem.h"

void host_require(int ok, const char *what, const char *file, int line);
#define REQUIRE(x) host_require((x) != 0, #x, __FILE__, __LINE__)
void host_require_ok(remora_status st, const remora_error *err, const char *what, const char *file,
                     int line);
#define REQUIRE_OK(call, err) host_require_ok((call), (err), #call, __FILE__, __LINE__)

#define HOST_ERROR                                                                                 \
    {                                                                                              \
        .struct_size = sizeof(remora_error)                                                        \
    }

static inline remora_text host_text(const char *s)
{
    return (remora_text){s, s != NULL ? strlen(s) : 0};
}

static inline remora_option host_option(const char *key, const char *value)
{
    return (remora_option){host_text(key), host_text(value)};
}

/* Options of a runtime whose memory is t's; NULL: the C library's. */
static inline remora_runtime_opts host_runtime_opts(tmem *t, int32_t n_threads)
{
    remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = n_threads};
    if (t == NULL) return o;
    o.alloc_user = t;
    o.alloc = tmem_alloc;
    o.resize = tmem_resize;
    o.dealloc = tmem_release;
    return o;
}

/* t may be NULL (the C library's allocator), isa may be NULL (the best set). */
remora_runtime *host_runtime(tmem *t, int32_t n_threads, const char *isa);
/* The kernel sets of this build as remora_build_info names them, slowest first; returns how many.
 * The machine need not have them: remora_runtime_create then answers E_UNSUPPORTED. */
enum { HOST_SETS = 8 };
uint32_t host_sets(char names[HOST_SETS][16]);
/* A test that runs every set that the machine has says so for each (test/not_here.txt). */
void host_ran(const char *set);
remora_model *host_open(remora_runtime *rt, const remora_source *src);
remora_session *host_session(remora_model *m, uint32_t capacity, int32_t kv_type);
/* An f32 session that has n tokens to evaluate, appended with WANT_ALL. */
remora_session *host_loaded(remora_model *m, uint32_t capacity, uint32_t chunk,
                            const remora_token *ids, size_t n);
remora_session_info host_session_info(const remora_session *s);
uint32_t host_vocab(const remora_model *m);

/* n tokens by a host's own loop: evaluate, pick from the whole row, accept, append. */
void host_sample(remora_session *s, remora_sampler *p, remora_token *out, size_t n);

/* Any ids; the same for the same seed. */
void host_ids(remora_token *ids, size_t n, uint32_t n_vocab, uint64_t seed);
uint32_t host_random(uint64_t *state);

/* Append with WANT_ALL to a new f32 session in one piece, evaluate, and return all n rows of
 * logits: n * n_vocab floats that the caller frees. */
float *host_logits(remora_model *m, const remora_token *ids, size_t n);
/* Copy all rows that are ready. */
float *host_rows(remora_session *s, uint32_t n_rows);

/* Is a file mapped into this process whose path has this part? */
int host_maps(const char *part);

remora_source host_path_source(const char *path);
/* Write src as a pack to path. */
void host_convert(remora_runtime *rt, const remora_source *src, const char *path,
                  const char *recipe, int zstd);
/* A new folder under /tmp, and how many files are in it, hidden ones too. */
enum { HOST_DIR = 32 };
void host_dir_make(char dir[HOST_DIR]);
uint32_t host_dir_count(const char *dir);
/* The threads of this process. */
static inline int host_thread_count(void)
{
    return (int)host_dir_count("/proc/self/task");
}

/* The path of a folder under REMORA_MODELS ("fixtures/v3", "krill"), which has to be there; 0 when
 * the variable is not set. */
int host_folder(char *path, size_t cap, const char *name);
/* A whole file, terminated by a NUL that *size does not count; the caller frees. NULL: no file. */
unsigned char *host_file(const char *path, size_t *size);
/* A tensor of golden.safetensors; *bytes is its size. Points into `file`. */
const void *host_golden(const unsigned char *file, const char *name, size_t *bytes);

/* A host's storage over blobs, which can fail. */
typedef struct host_io {
    const remora_blob *blobs;
    uint64_t n;
    atomic_long calls;  /* of io_size and io_read together */
    long fail_at;       /* this call, counted from 1, and all after it fail; 0: none */
    int only;           /* that one alone */
    remora_status with; /* the failure */
} host_io;

remora_source host_io_source(host_io *io);

#endif
