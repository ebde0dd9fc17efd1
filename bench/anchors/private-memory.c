/*
 * private-memory FILE SIZE CHANGES
 *
 * Maps a file privately, as a VMM does with the memory of a snapshot, and
 * writes to it. CHANGES has a line for each block: its number, and `new`,
 * `same` or `zero`. Prints the address, and waits to be killed.
 */
#include "common.h"

static void fill(uint8_t *block, uint64_t number)
{
	uint64_t word = ~number;

	for (size_t at = 0; at < BLOCK_SIZE; at += sizeof(word))
		memcpy(block + at, &word, sizeof(word));
}

static void change(uint8_t *block, uint64_t number, const char *how)
{
	/* A write of what is there already makes the page private too. */
	if (strcmp(how, "same") == 0)
		*(volatile uint8_t *)block = *(volatile uint8_t *)block;
	else if (strcmp(how, "zero") == 0)
		memset(block, 0, BLOCK_SIZE);
	else
		fill(block, number);
}

int main(int argc, char **argv)
{
	unsigned long long number;
	uint8_t *memory;
	uint64_t size;
	FILE *changes;
	char how[8];
	int file;

	if (argc != 4)
		error(2, 0, "usage: private-memory FILE SIZE CHANGES");
	size = parse_number(argv[2]);
	file = open(argv[1], O_RDONLY | O_CLOEXEC);
	changes = fopen(argv[3], "re");
	if (file < 0 || !changes)
		error(1, errno, "open");
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	if (memory == MAP_FAILED)
		error(1, errno, "map %s", argv[1]);
	while (fscanf(changes, "%llu %7s", &number, how) == 2) {
		if (number >= size / BLOCK_SIZE)
			error(2, 0, "there is no block %llu", number);
		change(memory + number * BLOCK_SIZE, number, how);
	}
	printf("%llu\n", (unsigned long long)(uintptr_t)memory);
	fflush(stdout);
	for (;;)
		pause();
}
