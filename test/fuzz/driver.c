/* SPDX-License-Identifier: Apache-2.0 */
/* Replay: runs a fuzz target over files, or over all files of folders. The everyday stand-in for
 * libFuzzer's own main (option `fuzz`). A failing input ends the program by the target's abort; its
 * name is the last line printed. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0) return -1;
    const long n = ftell(f);
    /* of exactly the right size, so that a sanitizer sees a byte too far */
    uint8_t *data = n >= 0 ? malloc(n > 0 ? (size_t)n : 1) : NULL;
    if (data == NULL || fseek(f, 0, SEEK_SET) != 0 || fread(data, 1, (size_t)n, f) != (size_t)n)
        return -1;
    fclose(f);
    printf("%s\n", path);
    fflush(stdout);
    (void)LLVMFuzzerTestOneInput(data, (size_t)n);
    free(data);
    return 1;
}

static int run_folder(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    if (d == NULL) return -1;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char name[4096];
        if (e->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        const int k = run_file(name);
        if (k < 0) {
            fprintf(stderr, "%s: cannot read\n", name);
            closedir(d);
            return -1;
        }
        n += k;
    }
    closedir(d);
    return n;
}

int main(int argc, char **argv)
{
    int n = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        const int k = stat(argv[i], &st) != 0 ? -1
                      : S_ISDIR(st.st_mode)   ? run_folder(argv[i])
                                              : run_file(argv[i]);
        if (k < 0) {
            fprintf(stderr, "%s: cannot read\n", argv[i]);
            return 2;
        }
        n += k;
    }
    printf("%d inputs\n", n);
    return n > 0 ? 0 : 2; /* a corpus that has gone missing is a failure */
}
