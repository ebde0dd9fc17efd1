/* Checks stored blocks against their checksums. */
#ifndef WRENN_MEMORY_VERIFY_H
#define WRENN_MEMORY_VERIFY_H

#include <stdint.h>

#include "mapped-memory.h"

/*
 * Sets `wrong_block` to the first block that cannot be read or fails its
 * checksum, or to -1. Without checksums all must be readable. 0 or an errno.
 */
int verify_memory(const struct mapped_memory *memory, int64_t *wrong_block);

#endif
