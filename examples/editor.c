/* SPDX-License-Identifier: Apache-2.0 */
/* An editor that completes code while somebody types. At each key the prompt is made anew from the
 * text around the cursor, the session keeps what is the same, and the work for the key before is
 * cancelled: what it has computed is kept as far as it is still wanted. A word that is half typed
 * is healed: the completion begins with the part that is there already.
 *
 *     editor MODEL
 *
 * A real editor computes on a thread of its own. Here a key comes every few milliseconds, on a
 * thread that only sets the cancel word.
 */
#include <remora/remora.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PROMPT = 512, ROOM = 24, KEY_MS = 40, MOST_STOPS = 16 };

static const char before[] = "def area(width, height):\n"
                             "    \"\"\"The area of a rectangle.\"\"\"\n"
                             "    return width * height\n"
                             "\n"
                             "def double(x):\n"
                             "    ";
static const char behind[] = "\n\nprint(double(21))\n";
static const char typed[] = "return x";

typedef struct editor {
    remora_model *model;
    remora_session *session;
    remora_sampler *sampler;
    remora_text stop[MOST_STOPS];
    uint64_t n_stop;
    int32_t cancel; /* set by the keyboard */
    size_t reused;
} editor;

static void sleep_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* The next key is pressed. */
static void *keyboard(void *user)
{
    editor *e = user;
    sleep_ms(KEY_MS);
    __atomic_store_n(&e->cancel, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* The prompt for this text into the session: what is there already is kept. */
static remora_status load(editor *e, const char *text, size_t len, remora_fim_info *info,
                          remora_error *err)
{
    const remora_fim_opts o = {
        .struct_size = sizeof o, .flags = REMORA_FIM_HEAL, .max_tokens = PROMPT};
    remora_token t[PROMPT];
    size_t n;
    remora_status st =
        remora_fim(e->model, text, len, behind, sizeof behind - 1, &o, t, PROMPT, &n, info, err);
    if (st >= 0) st = remora_session_sync(e->session, t, n, REMORA_WANT_LAST, &e->reused, err);
    return st < 0 ? st : remora_sampler_spell(e->sampler, info->heal, info->n_heal, err);
}

/* Complete the text up to the end of its line: into out, without what is typed already. */
static remora_status complete(editor *e, const remora_fim_info *info, char *out, size_t cap,
                              remora_error *err)
{
    const remora_gen_opts o = {.struct_size = sizeof o,
                               .flags = REMORA_GEN_NEW,
                               .max_tokens = ROOM,
                               .stop = e->stop,
                               .n_stop = e->n_stop,
                               .cancel = &e->cancel};
    remora_gen_opts more = o;
    size_t n, len = 0;
    remora_status st;
    do {
        n = 0;
        st = remora_generate_text(e->session, e->sampler, &more, out + len, cap - 1 - len, &n, NULL,
                                  0, NULL, err);
        len += n;
        more.flags = 0;
    } while (st == REMORA_MORE && cap - 1 - len >= 4);
    out[len] = 0;
    const size_t skip = info->n_heal < len ? info->n_heal : len;
    memmove(out, out + skip, len - skip + 1);
    return st;
}

/* One key: complete the text as it is now. hurry: the next key comes while the model computes. */
static remora_status key(editor *e, const char *text, size_t len, int hurry, remora_error *err)
{
    char out[1024] = "";
    remora_fim_info info = {.struct_size = sizeof info};
    pthread_t next;
    e->cancel = 0;
    remora_status st = load(e, text, len, &info, err);
    if (st < 0) return st;
    const int waits = hurry && pthread_create(&next, NULL, keyboard, e) == 0;
    st = complete(e, &info, out, sizeof out, err);
    if (waits) pthread_join(next, NULL);
    printf("%-12.12s kept %3zu tokens, healed %u bytes: %s%s\n", text + sizeof before - 1,
           e->reused, info.n_heal, st == REMORA_E_CANCELLED ? "(next key) " : "", out);
    return st == REMORA_E_CANCELLED ? REMORA_OK : st;
}

static remora_status type(editor *e, remora_error *err)
{
    char text[sizeof before + sizeof typed];
    remora_status st = REMORA_OK;
    memcpy(text, before, sizeof before);
    for (size_t n = 0; st >= 0 && n < sizeof typed; n++) {
        memcpy(text + sizeof before - 1, typed, n);
        text[sizeof before - 1 + n] = 0;
        st = key(e, text, sizeof before - 1 + n, n < sizeof typed - 1, err);
    }
    return st;
}

int main(int argc, char **argv)
{
    static const remora_text line = {"\n", 1};
    const remora_stage best = {.struct_size = sizeof best, .kind = REMORA_STAGE_TEMPERATURE};
    remora_error err = {.struct_size = sizeof err};
    remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_PATH};
    editor e = {0};
    if (argc != 2) return 2;
    src.path = argv[1];
    remora_status st = remora_model_open(NULL, &src, NULL, &e.model, &err);
    if (st >= 0) st = remora_session_create(e.model, NULL, &e.session, &err);
    if (st >= 0) st = remora_sampler_create(e.model, 1, &e.sampler, &err);
    if (st >= 0) st = remora_sampler_add(e.sampler, &best, &err);
    e.stop[e.n_stop++] = line;
    for (uint32_t i = 0; st >= 0 && e.n_stop < MOST_STOPS; i++)
        if (remora_fim_stop(e.model, i, &e.stop[e.n_stop], NULL) == REMORA_OK)
            e.n_stop++;
        else
            break;
    if (st >= 0) st = type(&e, &err);
    if (st < 0) fprintf(stderr, "%s: %s\n", remora_status_name(st), err.message);
    remora_sampler_free(e.sampler);
    remora_session_free(e.session);
    remora_model_free(e.model);
    return st < 0;
}
