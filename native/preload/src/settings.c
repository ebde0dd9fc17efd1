/* What the environment says about the guest's memory. */
#include "memory.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void die(enum exit_code code, const char *what, int error)
{
	if (error != 0)
		dprintf(STDERR_FILENO, "wrenn-memory: %s: %s\n", what, strerror(error));
	else
		dprintf(STDERR_FILENO, "wrenn-memory: %s\n", what);
	_exit(code);
}

static const char *required(const char *name)
{
	const char *value = getenv(name);

	if (value == NULL || value[0] == '\0')
		die(EXIT_ENVIRONMENT, name, EINVAL);
	return value;
}

/* A decimal number without sign, at most `max`. */
static uint64_t number(const char *name, const char *text, uint64_t max)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || value > max)
		die(EXIT_ENVIRONMENT, name, EINVAL);
	return value;
}

static enum mode parse_mode(const char *text)
{
	if (strcmp(text, "file") == 0)
		return MODE_FILE;
	if (strcmp(text, "pages") == 0)
		return MODE_PAGES;
	die(EXIT_ENVIRONMENT, "WRENN_MEMORY_MODE", EINVAL);
}

static size_t parse_bytes(const char *text)
{
	size_t bytes = number("WRENN_MEMORY_BYTES", text, SIZE_MAX);

	if (bytes == 0 || bytes % (size_t)sysconf(_SC_PAGESIZE) != 0)
		die(EXIT_ENVIRONMENT, "WRENN_MEMORY_BYTES", EINVAL);
	return bytes;
}

static struct sockaddr_un parse_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);

	if (length >= sizeof(address.sun_path))
		die(EXIT_ENVIRONMENT, "WRENN_MEMORY_SOCKET", ENAMETOOLONG);
	memcpy(address.sun_path, path, length + 1);
	return address;
}

static void forget_environment(void)
{
	unsetenv("WRENN_MEMORY_MODE");
	unsetenv("WRENN_MEMORY_BYTES");
	unsetenv("WRENN_MEMORY_FD");
	unsetenv("WRENN_MEMORY_SOCKET");
	unsetenv("LD_PRELOAD");
}

struct settings take_settings(void)
{
	const char *fd = getenv("WRENN_MEMORY_FD");
	struct settings settings = {
		.mode = parse_mode(required("WRENN_MEMORY_MODE")),
		.bytes = parse_bytes(required("WRENN_MEMORY_BYTES")),
		.fd = fd == NULL ? -1 : (int)number("WRENN_MEMORY_FD", fd, INT_MAX),
	};

	if (settings.mode == MODE_PAGES)
		settings.server = parse_socket(required("WRENN_MEMORY_SOCKET"));
	else if (settings.fd < 0)
		die(EXIT_ENVIRONMENT, "WRENN_MEMORY_FD", EINVAL);
	forget_environment();
	return settings;
}
