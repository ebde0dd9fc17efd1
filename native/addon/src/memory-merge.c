/* Copies all blocks of a chain into one file. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "block-io.h"
#include "memory-merge.h"

/* Blocks that are copied at once where the kernel cannot copy by itself. */
#define COPY_BLOCKS 256u

struct merge {
	int output;
	/* Whether the kernel copies between these files by itself. */
	bool by_kernel;
	/* Allocated when it does not. */
	void *bytes;
};

static bool is_unable(int error)
{
	return error == EXDEV || error == EINVAL || error == EOPNOTSUPP || error == ENOSYS;
}

static int copy_by_kernel(const struct merge *merge, int file, struct run run)
{
	off_t from = (off_t)run.source_block * BLOCK_SIZE, to = (off_t)run.block * BLOCK_SIZE;
	size_t left = (size_t)run.count * BLOCK_SIZE;

	while (left) {
		ssize_t put = copy_file_range(file, &from, merge->output, &to, left, 0);

		if (put == 0)
			return EBADMSG;
		if (put > 0)
			left -= (size_t)put;
		else if (errno != EINTR)
			return errno;
	}
	return 0;
}

static int copy_by_hand(struct merge *merge, int file, struct run run)
{
	int error = 0;

	if (!merge->bytes)
		merge->bytes = malloc((size_t)COPY_BLOCKS * BLOCK_SIZE);
	if (!merge->bytes)
		return ENOMEM;
	for (uint32_t done = 0, part; !error && done < run.count; done += part) {
		part = run.count - done < COPY_BLOCKS ? run.count - done : COPY_BLOCKS;
		error = read_blocks(file, run.source_block + done, part, merge->bytes);
		if (!error)
			error = write_blocks(merge->output, run.block + done, part, merge->bytes);
	}
	return error;
}

static int copy_run(struct merge *merge, int file, struct run run)
{
	int error = 0;

	if (merge->by_kernel)
		error = copy_by_kernel(merge, file, run);
	if (merge->by_kernel && !is_unable(error))
		return error;
	merge->by_kernel = false;
	return copy_by_hand(merge, file, run);
}

int merge_memory(const struct mapped_memory *memory, int output, uint64_t *written_blocks)
{
	struct merge merge = { .output = output, .by_kernel = true };
	int error = check_file_sizes(memory);

	if (!error)
		error = prepare_output(output, memory->block_count);
	for (uint32_t index = 0; !error && index < memory->run_count; index++) {
		const struct run *run = &memory->runs[index];

		if (run->source == SOURCE_ZERO)
			continue;
		error = copy_run(&merge, memory->files[run->source], *run);
		*written_blocks += run->count;
	}
	free(merge.bytes);
	return error;
}
