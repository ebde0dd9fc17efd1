/* Blocks in files. All return 0 or an errno. */
#ifndef WRENN_BLOCK_IO_H
#define WRENN_BLOCK_IO_H

#include <stdint.h>

#include "mapped-memory.h"

/* 64 GiB, the largest memory of a guest. */
#define BLOCKS_MAX (1u << 24)

/* EBADMSG when the file ends before the blocks do. */
int read_blocks(int file, uint32_t block, uint32_t count, void *bytes);
int write_blocks(int file, uint32_t block, uint32_t count, const void *bytes);

/* Gives an empty file its size; EEXIST when it is not empty, or is no plain file. */
int prepare_output(int file, uint32_t block_count);

/* EBADMSG when a file is too short for a run that lies in it. */
int check_file_sizes(const struct mapped_memory *memory);

#endif
