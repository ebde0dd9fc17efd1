/*
 * Shows a folder of the host to a process that runs in a mount namespace of its own, at the same
 * path and for writing, as if it had been there from the start:
 *
 *     show-folder PID FOLDER
 *
 * A VMM sees next to nothing of the host, and its disk gets a new layer while it runs. The folder
 * is cloned as a mount of its own (open_tree), and attached in the namespace of PID (move_mount).
 * Where the namespace has no folder to put it on, one is made in what covers the place: such a
 * cover is mounted read-only, so it is made through another mount of the same file system, which
 * nobody else ever sees.
 *
 * The folder must be an absolute path without symbolic links. Needs Linux 5.12 and root.
 * Exits 0, or 1 with one sentence on stderr.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_MODE = 0755 };

static const unsigned int NO_SURPRISES = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

static _Noreturn void fail(const char *what, const char *subject)
{
	fprintf(stderr, "show-folder: cannot %s %s: %s\n", what, subject, strerror(errno));
	exit(1);
}

static int open_namespace(const char *pid)
{
	char path[PATH_MAX];
	int fd;

	if (pid[0] == '\0' || strspn(pid, "0123456789") != strlen(pid)) {
		errno = EINVAL;
		fail("take for a process id:", pid);
	}
	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail("open", path);
	return fd;
}

/* A mount of its own that nothing shows yet, without the mounts below it. */
static int clone_mount(int folder, const char *path)
{
	int mount = open_tree(folder, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (mount < 0)
		fail("clone the mount of", path);
	return mount;
}

static void set_attributes(int mount, unsigned long set, unsigned long clear)
{
	struct mount_attr attributes = { .attr_set = set, .attr_clr = clear };

	if (mount_setattr(mount, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) != 0)
		fail("change", "a mount");
}

/* Makes `name` in `parent`, which may be mounted read-only. */
static void make_folder(int parent, const char *name)
{
	int writable = clone_mount(parent, "");

	set_attributes(writable, 0, MOUNT_ATTR_RDONLY);
	if (mkdirat(writable, name, FOLDER_MODE) != 0 && errno != EEXIST)
		fail("make the folder", name);
	close(writable);
}

/* The folder `name` in `parent`; it is made when it is absent. */
static int enter_folder(int parent, const char *name)
{
	int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, name, flags);

	if (fd < 0 && errno == ENOENT) {
		make_folder(parent, name);
		fd = openat(parent, name, flags);
	}
	if (fd < 0)
		fail("enter the folder", name);
	close(parent);
	return fd;
}

/* Follows an absolute path, folder by folder. */
static int enter_path(const char *path)
{
	char *names = strdup(path);
	char *rest = NULL;
	int folder = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (names == NULL || folder < 0)
		fail("enter", path);
	for (char *name = strtok_r(names, "/", &rest); name; name = strtok_r(NULL, "/", &rest))
		folder = enter_folder(folder, name);
	free(names);
	return folder;
}

int main(int argc, char **argv)
{
	int namespace, mount, place;

	if (argc != 3 || argv[2][0] != '/') {
		fputs("usage: show-folder PID FOLDER\n", stderr);
		return 1;
	}
	namespace = open_namespace(argv[1]);
	mount = clone_mount(AT_FDCWD, argv[2]);
	set_attributes(mount, NO_SURPRISES, MOUNT_ATTR_RDONLY);

	if (setns(namespace, CLONE_NEWNS) != 0)
		fail("enter the namespace of process", argv[1]);
	umask(022);
	place = enter_path(argv[2]);
	if (move_mount(mount, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
		fail("show", argv[2]);
	return 0;
}
