/*
 * The memory of a guest whose virtual processors stand still: which of its
 * blocks may differ from what the memory was restored from, and what they hold.
 */
#ifndef WRENN_GUEST_MEMORY_H
#define WRENN_GUEST_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

/* Entries of the page map that are read at once. */
#define PAGE_ENTRIES 32768

enum guest_memory_kind { SHARED_FILE, PRIVATE_MAP };

struct guest_memory {
	enum guest_memory_kind kind;
	uint32_t block_count;
	/* SHARED_FILE. */
	int memfd;
	/* PRIVATE_MAP. */
	pid_t pid;
	/* While its process has not ended nobody else has its pid. */
	int pidfd;
	uint64_t address;
	int pagemap;
	/* Entries of the page map for the blocks from `entries_block` to before `entries_end`. */
	uint64_t *entries;
	uint32_t entries_block;
	uint32_t entries_end;
};

/* Checks that all of the memory is there, and gets ready. 0 or an errno. */
int open_guest_memory(struct guest_memory *memory);
void close_guest_memory(struct guest_memory *memory);

/*
 * Finds the next blocks from `block` on that have to be looked at. `count` is 0
 * when there are none; more may follow directly. 0 or an errno.
 */
int next_touched(struct guest_memory *memory, uint32_t block, uint32_t *first, uint32_t *count);

/* Reads blocks that next_touched has found. 0 or an errno. */
int read_touched(const struct guest_memory *memory, uint32_t first, uint32_t count, void *bytes);

/* Whether all that was read is the guest's: what a pid names may change. 0 or an errno. */
int check_still_there(const struct guest_memory *memory);

#endif
