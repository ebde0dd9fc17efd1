/*
 * Goes on with a VMM whose page server has died. The VMM keeps a descriptor of
 * its userfaultfd; a copy is taken out of it. Threads whose faults the dead
 * server had read are woken, so that they fault again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "page-server.h"

bool is_userfaultfd(const char *link_path)
{
	static const char wanted[] = "anon_inode:[userfaultfd]";
	char target[sizeof(wanted)];
	ssize_t length = readlink(link_path, target, sizeof(target));

	return length == (ssize_t)sizeof(wanted) - 1 && memcmp(target, wanted, (size_t)length) == 0;
}

/* Registering a range again changes nothing, and fails for any other userfaultfd than its own. */
static int check_registered(const struct page_server *server, int uffd)
{
	for (size_t index = 0; index < server->region_count; index++) {
		struct uffdio_register range = {
			.range = {
				.start = server->regions[index].address,
				.len = server->regions[index].size,
			},
			.mode = UFFDIO_REGISTER_MODE_MISSING,
		};

		if (ioctl(uffd, UFFDIO_REGISTER, &range) != 0)
			return errno;
	}
	return 0;
}

/* Takes the descriptor if it is the userfaultfd of the regions. */
static int try_descriptor(struct page_server *server, const char *name)
{
	char path[64];
	int error, uffd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%.20s", server->pid, name);
	if (!is_userfaultfd(path))
		return ENOENT;
	uffd = (int)syscall(SYS_pidfd_getfd, server->pidfd, atoi(name), 0);
	if (uffd < 0)
		return errno;
	error = check_registered(server, uffd);
	if (error)
		close(uffd);
	else
		server->uffd = uffd;
	return error;
}

/* The error of the last userfaultfd, when none is the right one. */
static int find_uffd(struct page_server *server)
{
	int error = ENOENT;
	struct dirent *entry;
	char path[64];
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", server->pid);
	folder = opendir(path);
	if (!folder)
		return errno;
	while (server->uffd < 0 && (entry = readdir(folder))) {
		int tried = try_descriptor(server, entry->d_name);

		if (tried != ENOENT)
			error = tried;
	}
	closedir(folder);
	return server->uffd >= 0 ? 0 : error;
}

static int wake_all(const struct page_server *server)
{
	for (size_t index = 0; index < server->region_count; index++) {
		struct uffdio_range range = {
			.start = server->regions[index].address,
			.len = server->regions[index].size,
		};

		if (ioctl(server->uffd, UFFDIO_WAKE, &range) != 0)
			return errno;
	}
	return 0;
}

int page_server_adopt(struct page_server *server)
{
	int error;

	server->pidfd = (int)syscall(SYS_pidfd_open, server->pid, 0);
	if (server->pidfd < 0)
		return errno;
	error = find_uffd(server);
	return error ? error : wake_all(server);
}
