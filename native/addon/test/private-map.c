/*
 * Stands in for a VMM: maps the file of its argument privately and writes into
 * the map as standard input asks. Each line is `fill BLOCK BYTE`, `read BLOCK`,
 * or `discard BLOCK`, which brings the file's content back. Answers one line to
 * each, and at first the address of the map.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define BLOCK_SIZE 4096u

static int act(unsigned char *map, const char *line)
{
	unsigned int block, byte;

	if (sscanf(line, "fill %u %u", &block, &byte) == 2)
		memset(map + (size_t)block * BLOCK_SIZE, (int)byte, BLOCK_SIZE);
	else if (sscanf(line, "read %u", &block) == 1)
		byte = *(volatile unsigned char *)(map + (size_t)block * BLOCK_SIZE);
	else if (sscanf(line, "discard %u", &block) != 1 ||
		 madvise(map + (size_t)block * BLOCK_SIZE, BLOCK_SIZE, MADV_DONTNEED))
		return -1;
	return puts("done");
}

/* Nothing is mapped behind the file. */
static unsigned char *map_file(int file, size_t size, int flags)
{
	unsigned char *map = mmap(NULL, size + BLOCK_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
				  -1, 0);

	if (map == MAP_FAILED || munmap(map + size, BLOCK_SIZE))
		return MAP_FAILED;
	return mmap(map, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, file, 0);
}

int main(int count, char **arguments)
{
	int file = count == 3 ? open(arguments[1], O_RDWR) : -1;
	int flags = count == 3 && strcmp(arguments[2], "shared") == 0 ? MAP_SHARED : MAP_PRIVATE;
	struct stat status;
	unsigned char *map;
	char line[64];

	if (file < 0 || fstat(file, &status))
		return 1;
	map = map_file(file, (size_t)status.st_size, flags);
	if (map == MAP_FAILED)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%llu\n", (unsigned long long)(size_t)map);
	while (fgets(line, sizeof(line), stdin))
		if (act(map, line) < 0)
			return 1;
	return 0;
}
