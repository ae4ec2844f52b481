/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest useful host program: open a model, continue a text, print it as it comes.
 *
 *     minimal_generate MODEL [TEXT]
 */
#include <remora/remora.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    remora_error err = {.struct_size = sizeof err};
    remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_PATH};
    remora_stage warm = {.struct_size = sizeof warm, .kind = REMORA_STAGE_TEMPERATURE};
    remora_gen_opts opts = {.struct_size = sizeof opts, .max_tokens = 60};
    remora_model *model = NULL;
    remora_session *session = NULL;
    remora_sampler *sampler = NULL;
    remora_token t[1024];
    char text[256];
    const char *prompt = argc > 2 ? argv[2] : "Once upon a time";
    size_t n;
    remora_status st;

    if (argc < 2) {
        fprintf(stderr, "usage: minimal_generate MODEL [TEXT]\n");
        return 2;
    }
    src.path = argv[1];
    warm.value = 0.7;
    st = remora_model_open(NULL, &src, NULL, &model, &err);
    if (st < 0) goto out;
    st = remora_session_create(model, NULL, &session, &err);
    if (st < 0) goto out;
    st = remora_sampler_create(model, 42, &sampler, &err);
    if (st < 0) goto out;
    st = remora_sampler_add(sampler, &warm, &err);
    if (st < 0) goto out;

    st = remora_tokenize(model, prompt, strlen(prompt), REMORA_TEXT_BOS, t, 1024, &n, &err);
    if (st < 0) goto out;
    st = remora_session_append(session, t, n, REMORA_WANT_LAST, &err);
    if (st < 0) goto out;

    printf("%s", prompt);
    do {
        /* whole UTF-8 characters, as they come */
        st = remora_generate_text(session, sampler, &opts, text, sizeof text, &n, NULL, 0, NULL,
                                  &err);
        fwrite(text, 1, n, stdout);
        fflush(stdout);
    } while (st == REMORA_MORE);
    printf("\n");

out:
    if (st < 0) fprintf(stderr, "%s: %s\n", remora_status_name(st), err.message);
    remora_sampler_free(sampler);
    remora_session_free(session);
    remora_model_free(model);
    return st < 0;
}
