/* The content of a guest's memory as files and runs; see native/addon/binding.ts. */
#ifndef WRENN_MAPPED_MEMORY_H
#define WRENN_MAPPED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <node_api.h>

#define BLOCK_SIZE 4096u
#define SOURCE_ZERO 0xffffffffu
#define SOURCE_INHERIT 0xfffffffeu

/* As it is packed in a Uint32Array. */
struct run {
	uint32_t block;
	uint32_t count;
	uint32_t source;
	uint32_t source_block;
};

struct mapped_memory {
	/* Duplicates of the caller's descriptors. */
	int *files;
	uint32_t file_count;
	struct run *runs;
	uint32_t run_count;
	/* For each run the place of its first block among the checksums. */
	uint32_t *run_checksums;
	/* NULL when there are none. */
	uint32_t *checksums;
	/* Of all runs together. */
	uint32_t block_count;
};

/*
 * Reads a MappedMemory and checks that its runs follow on each other, that they
 * name files that there are, and that there are as many checksums as blocks in
 * files, or none. The memory is to be freed in any case.
 */
bool read_mapped_memory(napi_env env, napi_value object, struct mapped_memory *memory);

/* The same of an object that has files and runs alone. */
bool read_files_and_runs(napi_env env, napi_value object, struct mapped_memory *memory);

void free_mapped_memory(struct mapped_memory *memory);

/* The run that holds the block, which must be below block_count. */
uint32_t find_run(const struct mapped_memory *memory, uint32_t block);

#endif
