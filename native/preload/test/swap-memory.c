/*
 * Stands in for a VMM that was broken into: maps a memory file as QEMU does, and later puts another
 * file in the place of its descriptor.
 *
 *     swap-memory BYTES FILE
 *
 * Prints a line when the memory is there, all of it `m`. A line of standard input has FILE, which
 * need not be readable, take the place of the memory file, and is answered by a line.
 */
#define _GNU_SOURCE

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t bytes = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	int memory = memfd_create("memory-backend-memfd", MFD_CLOEXEC);
	/* Neither a pipe without a writer nor a missing permission stands in the way of this. */
	int other = bytes > 0 ? open(argv[2], O_PATH | O_CLOEXEC) : -1;
	char *map;

	if (memory < 0 || other < 0 || ftruncate(memory, (off_t)bytes) != 0)
		return 1;
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (map == MAP_FAILED)
		return 1;
	memset(map, 'm', bytes);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (getchar() == '\n') {
		if (dup2(other, memory) < 0)
			return 1;
		puts("swapped");
	}
	return 0;
}
