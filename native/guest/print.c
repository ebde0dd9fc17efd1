#define _GNU_SOURCE

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "print.h"

int write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, text, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return errno;
		text += written;
		length -= (size_t)written;
	}
	return 0;
}

int fail(const char *sentence)
{
	const char *parts[] = { "wrenn-guest: ", sentence, "\n" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		write_all(STDERR_FILENO, parts[i], strlen(parts[i]));
	return EXIT_NO_REQUESTS;
}
