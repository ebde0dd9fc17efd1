/* The content of a guest's memory as files and runs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "mapped-memory.h"
#include "values.h"

/* A header names at most 10 builds; what is more than this is a mistake. */
#define FILES_MAX 1024u

static bool read_file(napi_env env, napi_value files, uint32_t index, int *file)
{
	napi_value element;
	int32_t descriptor;

	if (napi_get_element(env, files, index, &element) != napi_ok ||
	    napi_get_value_int32(env, element, &descriptor) != napi_ok) {
		throw_invalid(env, "files must be descriptors");
		return false;
	}
	*file = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
	if (*file >= 0)
		return true;
	throw_error(env, errno, "files");
	return false;
}

static bool read_files(napi_env env, napi_value object, struct mapped_memory *memory)
{
	napi_value files;
	uint32_t count;

	if (!read_property(env, object, "files", &files))
		return false;
	if (napi_get_array_length(env, files, &count) != napi_ok || count > FILES_MAX) {
		throw_invalid(env, "files must be an array of at most 1024 descriptors");
		return false;
	}
	memory->files = calloc(count ? count : 1, sizeof(*memory->files));
	if (!memory->files) {
		throw_error(env, ENOMEM, "files");
		return false;
	}
	for (; memory->file_count < count; memory->file_count++)
		if (!read_file(env, files, memory->file_count, &memory->files[memory->file_count]))
			return false;
	return true;
}

/* What is wrong with the runs, or NULL; counts the blocks in files. */
static const char *check_runs(struct mapped_memory *memory, uint32_t *stored)
{
	*stored = 0;
	for (uint32_t index = 0; index < memory->run_count; index++) {
		const struct run *run = &memory->runs[index];

		if (run->block != memory->block_count || run->count == 0 ||
		    run->count > UINT32_MAX - memory->block_count)
			return "runs must follow on each other from block 0";
		memory->block_count += run->count;
		memory->run_checksums[index] = *stored;
		if (run->source == SOURCE_ZERO)
			continue;
		if (run->source >= memory->file_count)
			return "a run names a file that there is not";
		if (run->count > UINT32_MAX - run->source_block)
			return "a run ends beyond what a file can hold";
		*stored += run->count;
	}
	return NULL;
}

static bool read_runs(napi_env env, napi_value object, struct mapped_memory *memory,
		      uint32_t *stored)
{
	uint32_t *numbers = NULL;
	const char *wrong;
	size_t count;

	if (!read_uint32_array(env, object, "runs", &numbers, &count))
		return false;
	memory->runs = (struct run *)numbers;
	if (count % 4 || count / 4 > UINT32_MAX) {
		throw_invalid(env, "runs must have 4 numbers each");
		return false;
	}
	memory->run_count = (uint32_t)(count / 4);
	memory->run_checksums = calloc(memory->run_count + (size_t)1, sizeof(uint32_t));
	if (!memory->run_checksums) {
		throw_error(env, ENOMEM, "runs");
		return false;
	}
	wrong = check_runs(memory, stored);
	if (wrong)
		throw_invalid(env, wrong);
	return !wrong;
}

static bool read_content(napi_env env, napi_value object, struct mapped_memory *memory,
			 uint32_t *stored)
{
	*memory = (struct mapped_memory){0};
	return read_files(env, object, memory) && read_runs(env, object, memory, stored);
}

bool read_files_and_runs(napi_env env, napi_value object, struct mapped_memory *memory)
{
	uint32_t stored;

	return read_content(env, object, memory, &stored);
}

bool read_mapped_memory(napi_env env, napi_value object, struct mapped_memory *memory)
{
	uint32_t stored;
	size_t count;

	if (!read_content(env, object, memory, &stored) ||
	    !read_uint32_array(env, object, "checksums", &memory->checksums, &count))
		return false;
	if (count == 0 || count == stored)
		return true;
	throw_invalid(env, "checksums must be as many as blocks in files, or none");
	return false;
}

void free_mapped_memory(struct mapped_memory *memory)
{
	for (uint32_t index = 0; index < memory->file_count; index++)
		close(memory->files[index]);
	free(memory->files);
	free(memory->runs);
	free(memory->run_checksums);
	free(memory->checksums);
	*memory = (struct mapped_memory){0};
}

uint32_t find_run(const struct mapped_memory *memory, uint32_t block)
{
	uint32_t low = 0, high = memory->run_count - 1;

	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;

		if (memory->runs[middle].block <= block)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}
