/*
 * A library that is preloaded into QEMU and gives a restored machine its memory: it recognises the
 * one mapping of the guest's memory file and answers it with memory whose content is there already
 * (file.c) or comes page by page (pages.c). All other mappings are what they were.
 *
 * QEMU would go on with memory that nobody fills, and the guest would read zeros. So whatever goes
 * wrong here ends the process, with a sentence on standard error and one of the codes below.
 *
 * Environment, which is read and removed when the guest's memory is mapped:
 *
 *     WRENN_MEMORY_MODE     file or pages
 *     WRENN_MEMORY_BYTES    size of the guest's memory
 *     WRENN_MEMORY_FD       inherited descriptor; file: the memory file, open for reading;
 *                           pages: /dev/userfaultfd, or absent where the kernel has none
 *     WRENN_MEMORY_SOCKET   pages: path of the page server's socket
 */
#ifndef WRENN_MEMORY_H
#define WRENN_MEMORY_H

#include <stddef.h>
#include <sys/un.h>

/* Codes with which the process ends. QEMU itself uses 0 and 1, the launcher's programs 2 and 125 up. */
enum exit_code {
	EXIT_ENVIRONMENT = 90,
	/* The guest's memory is mapped a second time. */
	EXIT_SECOND_MAPPING = 91,
	/* The mapping is not the one that was announced. */
	EXIT_OTHER_MAPPING = 92,
	EXIT_MAP = 93,
	EXIT_USERFAULTFD = 94,
	EXIT_HANDSHAKE = 95,
};

enum mode {
	MODE_FILE,
	MODE_PAGES,
};

struct settings {
	enum mode mode;
	size_t bytes;
	/* -1 when there is none. */
	int fd;
	struct sockaddr_un server;
};

/* Takes the settings out of the environment; does not return when they are wrong. */
struct settings take_settings(void);

/* A private map of the memory file at the given place of the address space. */
void *map_file(void *address, const struct settings *settings, int protection);

/* Has a page server fill the memory that is mapped at `base`. */
void serve_pages(void *base, const struct settings *settings);

/* Ends the process. `error` is a number of errno, or 0. */
_Noreturn void die(enum exit_code code, const char *what, int error);

#endif
