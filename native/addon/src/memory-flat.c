/*
 * A memory is flat when a plain map of its one file shows it: every run lies at
 * its own address, what is zero is a hole, and the file is not shorter. A file
 * may have data where the memory is zero: what a later generation has zeroed.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory-flat.h"
#include "module.h"
#include "values.h"

static bool is_hole(int file, const struct run *run)
{
	off_t start = (off_t)run->block * BLOCK_SIZE;
	off_t data = lseek(file, start, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO;
	return data >= start + (off_t)run->count * BLOCK_SIZE;
}

bool is_flat(const struct mapped_memory *memory)
{
	struct stat status;

	if (memory->file_count != 1 || fstat(memory->files[0], &status) != 0 ||
	    status.st_size < (off_t)memory->block_count * BLOCK_SIZE)
		return false;
	for (uint32_t index = 0; index < memory->run_count; index++) {
		const struct run *run = &memory->runs[index];

		if (run->source == SOURCE_ZERO ? !is_hole(memory->files[0], run)
					       : run->source_block != run->block)
			return false;
	}
	return true;
}

static napi_value is_flat_memory(napi_env env, napi_callback_info info)
{
	struct mapped_memory memory = {0};
	napi_value argument, result = NULL;

	if (read_arguments(env, info, 1, &argument) && read_mapped_memory(env, argument, &memory) &&
	    napi_get_boolean(env, is_flat(&memory), &result) != napi_ok)
		result = NULL;
	free_mapped_memory(&memory);
	return result;
}

bool register_memory_flat(napi_env env, napi_value exports)
{
	return set_function(env, exports, "isFlatMemory", is_flat_memory);
}
