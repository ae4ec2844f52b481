/* A model of any source as a pack, each weight in the type it is stored in: what tests of packs
 * need, apart from the converter that is tested elsewhere. */
#ifndef PACKER_H
#define PACKER_H

#include "runtime.h"

/* Write src as a pack to path; level: zstd's, 0 for none. */
remora_status packer_make(remora_runtime *rt, const remora_source *src, const char *path, int level,
                          remora_error *err);

#endif
