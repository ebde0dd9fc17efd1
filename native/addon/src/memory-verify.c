/* Checks stored blocks against their checksums. */
#include <errno.h>
#include <stdlib.h>

#include "block-io.h"
#include "crc32c.h"
#include "memory-verify.h"

/* Blocks that are read at once. */
#define READ_BLOCKS 64u

/* Reads blocks up to the first that cannot be read, and returns how many. */
static uint32_t read_readable(int file, uint32_t first, uint32_t count, uint8_t *bytes)
{
	uint32_t done = 0;

	if (read_blocks(file, first, count, bytes) == 0)
		return count;
	while (done < count &&
	       read_blocks(file, first + done, 1, bytes + (size_t)done * BLOCK_SIZE) == 0)
		done++;
	return done;
}

/* How many blocks have their checksum, up to the first that has not. */
static uint32_t count_right(const uint8_t *bytes, const uint32_t *checksums, uint32_t count)
{
	uint32_t done = 0;

	if (!checksums)
		return count;
	while (done < count &&
	       crc32c(0, bytes + (size_t)done * BLOCK_SIZE, BLOCK_SIZE) == checksums[done])
		done++;
	return done;
}

/* How many blocks of a run are right, up to the first that is not. */
static uint32_t verify_run(int file, const struct run *run, const uint32_t *checksums,
			   uint8_t *bytes)
{
	uint32_t done = 0;

	while (done < run->count) {
		uint32_t left = run->count - done;
		uint32_t part = left < READ_BLOCKS ? left : READ_BLOCKS;
		uint32_t got = read_readable(file, run->source_block + done, part, bytes);
		uint32_t right = count_right(bytes, checksums ? checksums + done : NULL, got);

		done += right;
		if (right < part)
			break;
	}
	return done;
}

int verify_memory(const struct mapped_memory *memory, int64_t *wrong_block)
{
	uint8_t *bytes = malloc((size_t)READ_BLOCKS * BLOCK_SIZE);

	*wrong_block = -1;
	if (!bytes)
		return ENOMEM;
	for (uint32_t index = 0; *wrong_block < 0 && index < memory->run_count; index++) {
		const struct run *run = &memory->runs[index];
		const uint32_t *checksums = memory->checksums;
		uint32_t right;

		if (run->source == SOURCE_ZERO)
			continue;
		if (checksums)
			checksums += memory->run_checksums[index];
		right = verify_run(memory->files[run->source], run, checksums, bytes);
		if (right < run->count)
			*wrong_block = (int64_t)run->block + right;
	}
	free(bytes);
	return 0;
}
