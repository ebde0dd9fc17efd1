/* Whether one file alone is the memory. */
#ifndef WRENN_MEMORY_FLAT_H
#define WRENN_MEMORY_FLAT_H

#include <stdbool.h>

#include "mapped-memory.h"

/* See isFlatMemory of native/addon/binding.ts. */
bool is_flat(const struct mapped_memory *memory);

#endif
