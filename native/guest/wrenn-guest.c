/*
 * What envd, the daemon of a guest, cannot do from Node. Its commands are in files of their own:
 *
 *     wrenn-guest                              clock and randomness of the kernel, see requests.c
 *     wrenn-guest pty | resize ...             programs on terminals, see terminal.c
 *     wrenn-guest watch [--recursive] PATH     changes of directories, see watch.c
 *     wrenn-guest pipes COUNT                  pipes for programs, see pipes.c
 *     wrenn-guest --help
 */
#define _GNU_SOURCE

#include <string.h>
#include <unistd.h>

#include "pipes.h"
#include "print.h"
#include "requests.h"
#include "terminal.h"
#include "watch.h"

struct command {
	const char *name;
	/* Returns the exit status; `arguments[0]` is the command's own name. */
	int (*run)(int count, char *arguments[]);
};

static int print_help(int count, char *arguments[])
{
	static const char help[] =
		"usage: wrenn-guest\n"
		"       wrenn-guest pty COLS ROWS UID GID GROUPS PROGRAM NAME [ARGUMENT]...\n"
		"       wrenn-guest resize COLS ROWS\n"
		"       wrenn-guest watch [--recursive] PATH\n"
		"       wrenn-guest pipes COUNT\n"
		"Sets the clock of a guest, and renews its kernel's randomness. Reads requests:\n"
		"    clock WALL_NS MONOTONIC_NS\n"
		"    restore WALL_NS MONOTONIC_NS ENTROPY\n"
		"Starts a program on a terminal, resizes a terminal, watches a directory,\n"
		"makes pipes and holds them until its input ends.\n";

	(void)count;
	(void)arguments;
	return write_all(STDOUT_FILENO, help, sizeof(help) - 1) == 0 ? EXIT_DONE
								     : EXIT_NOT_ANSWERED;
}

static const struct command commands[] = {
	{ "--help", print_help },
	{ "pty", pty_main },
	{ "resize", resize_main },
	{ "watch", watch_main },
	{ "pipes", pipes_main },
};

int main(int argc, char *argv[])
{
	if (argc <= 1)
		return requests_main(argc, argv);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	return fail("no such command, see --help");
}
