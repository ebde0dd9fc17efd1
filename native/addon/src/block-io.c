/* Blocks in files. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block-io.h"

static off_t offset_of(uint32_t block)
{
	return (off_t)block * BLOCK_SIZE;
}

int read_blocks(int file, uint32_t block, uint32_t count, void *bytes)
{
	size_t size = (size_t)count * BLOCK_SIZE, done = 0;

	while (done < size) {
		ssize_t got = pread(file, (char *)bytes + done, size - done,
				    offset_of(block) + (off_t)done);

		if (got == 0)
			return EBADMSG;
		if (got > 0)
			done += (size_t)got;
		else if (errno != EINTR)
			return errno;
	}
	return 0;
}

int write_blocks(int file, uint32_t block, uint32_t count, const void *bytes)
{
	size_t size = (size_t)count * BLOCK_SIZE, done = 0;

	while (done < size) {
		ssize_t put = pwrite(file, (const char *)bytes + done, size - done,
				     offset_of(block) + (off_t)done);

		if (put == 0)
			return EIO;
		if (put > 0)
			done += (size_t)put;
		else if (errno != EINTR)
			return errno;
	}
	return 0;
}

int prepare_output(int file, uint32_t block_count)
{
	struct stat status;

	if (fstat(file, &status) < 0)
		return errno;
	if (!S_ISREG(status.st_mode) || status.st_size != 0)
		return EEXIST;
	return ftruncate(file, offset_of(block_count)) < 0 ? errno : 0;
}

static int read_file_sizes(const struct mapped_memory *memory, uint64_t *sizes)
{
	struct stat status;

	for (uint32_t index = 0; index < memory->file_count; index++) {
		if (fstat(memory->files[index], &status) < 0)
			return errno;
		sizes[index] = (uint64_t)status.st_size;
	}
	return 0;
}

int check_file_sizes(const struct mapped_memory *memory)
{
	uint64_t *sizes = calloc(memory->file_count + (size_t)1, sizeof(*sizes));
	int error;

	if (!sizes)
		return ENOMEM;
	error = read_file_sizes(memory, sizes);
	for (uint32_t index = 0; !error && index < memory->run_count; index++) {
		const struct run *run = &memory->runs[index];
		uint64_t end = ((uint64_t)run->source_block + run->count) * BLOCK_SIZE;

		if (run->source != SOURCE_ZERO && end > sizes[run->source])
			error = EBADMSG;
	}
	free(sizes);
	return error;
}
