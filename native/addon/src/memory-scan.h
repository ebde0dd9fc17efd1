/* Finds and writes what has changed in a guest's memory; scanMemory of native/addon/binding.ts. */
#ifndef WRENN_MEMORY_SCAN_H
#define WRENN_MEMORY_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "guest-memory.h"
#include "mapped-memory.h"
#include "memory-diff.h"

struct memory_scan {
	struct guest_memory guest;
	bool has_parent;
	struct mapped_memory parent;
	/* NULL when no block was given back. */
	uint8_t *removed;
	int output;

	struct memory_diff diff;
	uint64_t scanned_blocks;
};

/* Scans all of the memory. 0 or an errno; what it allocates is freed by free_scan. */
int scan_memory(struct memory_scan *scan);
void free_scan(struct memory_scan *scan);

#endif
