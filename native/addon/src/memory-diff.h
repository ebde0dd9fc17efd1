/* What differs between a memory and its parent, and the file of what does. */
#ifndef WRENN_MEMORY_DIFF_H
#define WRENN_MEMORY_DIFF_H

#include <stdint.h>

#include "mapped-memory.h"
#include "number-list.h"

/* Most blocks that are compared at once: those of memory and parent fit into a processor's cache. */
#define CHUNK_BLOCKS 64u

struct memory_diff {
	/* NULL when there is none: then what is not written is zero. */
	const struct mapped_memory *parent;
	/* One bit for each block that was given back, lowest first; NULL when there are none. */
	const uint8_t *removed;
	int output;

	/* What was found so far, in order of address. */
	struct number_list runs;
	struct number_list checksums;

	/* The run of the parent that was asked for last. */
	uint32_t parent_run;
	uint8_t *bytes;
	uint8_t *parent_bytes;
	uint8_t verdicts[CHUNK_BLOCKS];
	uint32_t sums[CHUNK_BLOCKS];
};

/* Allocates the buffers. 0 or an errno. */
int begin_diff(struct memory_diff *diff);
void end_diff(struct memory_diff *diff);

/* Takes blocks that were not touched: each call goes on where the last one ended. 0 or an errno. */
int add_untouched(struct memory_diff *diff, uint32_t first, uint32_t count);

/* Takes at most CHUNK_BLOCKS blocks, which are in `bytes`. 0 or an errno. */
int add_touched(struct memory_diff *diff, uint32_t first, uint32_t count);

#endif
