/*
 * Maps a memory file as QEMU does, for the tests of the library:
 *
 *     map-memory NAME BYTES COUNT
 *
 * Makes a memory file of that name, whose content is all `m`, and maps it COUNT times at a reserved
 * place. Prints the first byte of the last map, writes an `x` over it, and prints what is left of
 * the library's environment.
 */
#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern char **environ;

static int make_file(const char *name, size_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	char *content;

	if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0)
		return -1;
	content = malloc(bytes);
	if (content == NULL)
		return -1;
	memset(content, 'm', bytes);
	if (write(fd, content, bytes) != (ssize_t)bytes)
		fd = -1;
	free(content);
	return fd;
}

static char *map(int fd, size_t bytes)
{
	int access = PROT_READ | PROT_WRITE;
	void *place = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (place == MAP_FAILED)
		return MAP_FAILED;
	return mmap(place, bytes, access, MAP_SHARED | MAP_FIXED, fd, 0);
}

int main(int argc, char **argv)
{
	size_t bytes = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	int fd = bytes > 0 ? make_file(argv[1], bytes) : -1;
	char *memory = MAP_FAILED;

	if (fd < 0)
		return 1;
	for (int count = atoi(argv[3]); count > 0; count--)
		memory = map(fd, bytes);
	if (memory == MAP_FAILED)
		return 1;
	printf("%c", memory[0]);
	memory[0] = 'x';
	for (char **variable = environ; *variable != NULL; variable++) {
		if (strncmp(*variable, "WRENN_", 6) == 0 || strncmp(*variable, "LD_", 3) == 0)
			printf(" %s", *variable);
	}
	return 0;
}
