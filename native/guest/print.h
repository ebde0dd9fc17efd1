/* What all commands of wrenn-guest print with, and how they exit. */
#ifndef WRENN_GUEST_PRINT_H
#define WRENN_GUEST_PRINT_H

#include <stddef.h>

enum {
	EXIT_DONE = 0,
	/* Nobody takes the answers. */
	EXIT_NOT_ANSWERED = 1,
	/* It cannot tell what it is asked for. */
	EXIT_NO_REQUESTS = 2,
};

/* Returns 0 or an error number. */
int write_all(int fd, const char *text, size_t length);

/* Says on standard error what is wrong. Returns EXIT_NO_REQUESTS. */
int fail(const char *sentence);

#endif
