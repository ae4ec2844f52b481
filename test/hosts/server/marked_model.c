/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny random model that has the markers of all chat formats, as files: prints the folder. */
#include <stdio.h>

#include "chat_markers.h"

int main(void)
{
    static world w;
    char path[64];
    chat_markers_begin(&w);
    tiny files = w.t;
    memcpy(files.blobs, w.blobs, sizeof files.blobs);
    tiny_folder_make(&files, path, sizeof path);
    puts(path);
    world_end(&w);
    return 0;
}
