/*
 * write-changes MEMORY PARENT OUTPUT SIZE
 *
 * Writes each block of MEMORY that is data and differs from PARENT to its own
 * place in OUTPUT. Prints the nanoseconds, with the mapping of both files.
 */
#include "common.h"

/* Everything from one block of data up to the next hole. */
static void write_extent(const uint8_t *memory, const uint8_t *parent, int output, off_t start,
			 off_t end)
{
	for (off_t at = start; at < end; at += BLOCK_SIZE) {
		if (memcmp(memory + at, parent + at, BLOCK_SIZE) == 0)
			continue;
		if (pwrite(output, memory + at, BLOCK_SIZE, at) != BLOCK_SIZE)
			error(1, errno, "pwrite");
	}
}

static const uint8_t *map(int file, const char *path, uint64_t size)
{
	const uint8_t *content = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);

	if (content == MAP_FAILED)
		error(1, errno, "map %s", path);
	return content;
}

int main(int argc, char **argv)
{
	const uint8_t *memory, *parent;
	int memory_file, parent_file, output;
	uint64_t size, started;
	off_t start, end = 0;

	if (argc != 5)
		error(2, 0, "usage: write-changes MEMORY PARENT OUTPUT SIZE");
	size = parse_number(argv[4]);
	memory_file = open(argv[1], O_RDONLY | O_CLOEXEC);
	parent_file = open(argv[2], O_RDONLY | O_CLOEXEC);
	output = open(argv[3], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (memory_file < 0 || parent_file < 0 || output < 0)
		error(1, errno, "open");

	started = now_ns();
	memory = map(memory_file, argv[1], size);
	parent = map(parent_file, argv[2], size);
	if (ftruncate(output, (off_t)size) != 0)
		error(1, errno, "ftruncate");
	while ((start = lseek(memory_file, end, SEEK_DATA)) >= 0) {
		end = lseek(memory_file, start, SEEK_HOLE);
		write_extent(memory, parent, output, start, end);
	}
	printf("%llu\n", (unsigned long long)(now_ns() - started));
	return 0;
}
