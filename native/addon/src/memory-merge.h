/* Copies all blocks of a chain into one file. */
#ifndef WRENN_MEMORY_MERGE_H
#define WRENN_MEMORY_MERGE_H

#include <stdint.h>

#include "mapped-memory.h"

/* Writes every block that lies in a file at its own address into the empty `output`. 0 or an errno. */
int merge_memory(const struct mapped_memory *memory, int output, uint64_t *written_blocks);

#endif
