/*
 * `wrenn-guest pipes COUNT` makes pipes for envd, since Node cannot: it prints the descriptors of
 * their ends that are read, with blanks between them, as one line, and lives until its input ends.
 * Meanwhile envd opens them as /proc/PID/fd/N. Unlike a named pipe one of these can be opened by
 * name (/dev/stdin) also when nobody has it open for writing any more.
 */
#define _GNU_SOURCE

#include "pipes.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "print.h"

enum {
	PIPES_MAX = 64,
	/* Digits of a descriptor and a blank. */
	NUMBER_BYTES = 12,
};

static int parse_count(const char *text)
{
	char *end;
	long count = strtol(text, &end, 10);

	return *text != '\0' && *end == '\0' && count >= 1 && count <= PIPES_MAX ? (int)count : 0;
}

/* The kernel closes the pipes with the process. */
static int make_pipes(int count, char *line, size_t size)
{
	size_t length = 0;

	for (int i = 0; i < count; i++) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) != 0)
			return -1;
		length += (size_t)snprintf(line + length, size - length, "%d%c", ends[0],
					   i + 1 < count ? ' ' : '\n');
	}
	return (int)length;
}

int pipes_main(int count, char *arguments[])
{
	char line[PIPES_MAX * NUMBER_BYTES];
	char ignored;
	int pipes = count == 2 ? parse_count(arguments[1]) : 0;
	int length;

	if (pipes == 0)
		return fail("how many pipes, 1 to 64?");
	length = make_pipes(pipes, line, sizeof(line));
	if (length < 0)
		return fail("no pipe can be made");
	if (write_all(STDOUT_FILENO, line, (size_t)length) != 0)
		return EXIT_NOT_ANSWERED;
	while (read(STDIN_FILENO, &ignored, 1) > 0)
		;
	return EXIT_DONE;
}
