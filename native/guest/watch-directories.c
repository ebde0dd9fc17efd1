/* The directories of a watch; see watch-directories.h. */
#define _GNU_SOURCE
#include "watch-directories.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVENT_MASK                                                                             \
	(IN_CREATE | IN_MODIFY | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |         \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

enum {
	/* "/proc/self/fd/" and a number. */
	FD_PATH_BYTES = 32,
	OPEN_FLAGS = O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC,
};

void watch_tell(struct watch *watch, enum record_kind kind, const struct directory *directory,
		const char *name, bool is_directory)
{
	char path[WATCH_PATH_BYTES_MAX];
	struct record record = { .kind = kind, .path = path, .is_directory = is_directory };

	if (tree_path(directory, name, path))
		records_add(&watch->records, &record);
	else
		watch->lost = true;
}

/* Opens a directory below the root without following a link; -1 with errno. */
static int open_below(const struct watch *watch, const char *path)
{
	struct open_how how = { .flags = OPEN_FLAGS | O_NOFOLLOW, .resolve = RESOLVE_NO_SYMLINKS };
	int root = open(watch->root_path, OPEN_FLAGS);
	int error;
	int fd;

	/* The root is not kept open: the kernel would not tell of its removal. */
	if (root < 0 || *path == '\0')
		return root;
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	error = errno;
	close(root);
	errno = error;
	return fd;
}

static void drop_watch(int wd, void *context)
{
	const struct watch *watch = context;

	/* Fails when the kernel has dropped it already. */
	inotify_rm_watch(watch->events.fd, wd);
}

void watch_forget(struct watch *watch, struct directory *directory)
{
	tree_remove(&watch->tree, directory, drop_watch, watch);
}

/* Watches what is open; returns its watch descriptor, or -1 with errno. */
static int watch_open(const struct watch *watch, int fd)
{
	char fd_path[FD_PATH_BYTES];

	snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", fd);
	return inotify_add_watch(watch->events.fd, fd_path, EVENT_MASK);
}

/* Notes that a directory is not watched, unless it is gone or is something else by now. */
static void note_error(struct watch *watch, int error)
{
	if (error != 0 && error != ENOENT && error != ENOTDIR && error != ELOOP)
		watch->lost = true;
}

/*
 * Opens a directory of the tree; -1 when it is not where the tree has it, because the events that
 * tell of it are still to come. Then it is looked at again after these.
 */
static int open_directory(struct watch *watch, struct directory *directory)
{
	char path[WATCH_PATH_BYTES_MAX];
	int fd = -1;
	int wd;

	if (!tree_path(directory, "", path)) {
		watch->lost = true;
		return -1;
	}
	fd = open_below(watch, path);
	if (fd < 0) {
		note_error(watch, errno);
		tree_set_astray(&watch->tree, directory, true);
		return -1;
	}
	wd = watch_open(watch, fd);
	if (wd == directory->wd)
		return fd;
	/* It is another one, which has taken its place. */
	if (wd >= 0 && tree_find(&watch->tree, wd) == NULL)
		inotify_rm_watch(watch->events.fd, wd);
	tree_set_astray(&watch->tree, directory, true);
	close(fd);
	return -1;
}

static void scan_later(struct watch *watch, const struct directory *directory)
{
	if (watch->to_scan_count < WATCH_DIRECTORIES_MAX)
		watch->to_scan[watch->to_scan_count++] = directory->wd;
	else
		watch->lost = true;
}

/*
 * Puts a directory that is watched by this descriptor into the tree, where it may be already. When
 * another one is in its place, or it is at another place, the events that tell of it are still to
 * come, and what was told of it belongs elsewhere.
 */
static int place(struct watch *watch, struct directory *parent, const char *name, int wd)
{
	struct directory *known = tree_find(&watch->tree, wd);
	struct directory *before = parent != NULL ? tree_child(&watch->tree, parent, name) : NULL;
	int error = 0;

	if (known != NULL && (known == before || tree_is_within(parent, known)))
		return 0;
	watch->lost = watch->lost || before != NULL || known != NULL;
	if (known == NULL) {
		error = tree_add(&watch->tree, parent, name, wd, &known);
		if (error == 0)
			scan_later(watch, known);
	} else if (!tree_move(&watch->tree, known, parent, name)) {
		error = ENOMEM;
	}
	/* Only now: what is moved may have been below it. */
	if (before != NULL)
		watch_forget(watch, before);
	return error;
}

/* Watches a directory that is open; returns an error number. */
static int add_open(struct watch *watch, struct directory *parent, const char *name, int fd)
{
	int wd = watch_open(watch, fd);
	int error = wd < 0 ? errno : place(watch, parent, name, wd);

	if (wd >= 0 && error != 0)
		inotify_rm_watch(watch->events.fd, wd);
	return error;
}

/* Watches a directory in one that is open. It may be gone meanwhile. */
static void add_entry(struct watch *watch, struct directory *parent, int parent_fd,
		      const char *name)
{
	int fd = openat(parent_fd, name, OPEN_FLAGS | O_NOFOLLOW);

	if (fd < 0) {
		note_error(watch, errno);
		return;
	}
	note_error(watch, add_open(watch, parent, name, fd));
	close(fd);
}

static bool is_directory_entry(int folder, const struct dirent *entry)
{
	struct stat status;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(status.st_mode);
}

/* Watches the directories in a directory, and tells of all that is in it if wanted. */
static void scan_directory(struct watch *watch, struct directory *directory, bool telling)
{
	int fd = open_directory(watch, directory);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (folder == NULL) {
		watch->lost = watch->lost || fd >= 0;
		if (fd >= 0)
			close(fd);
		return;
	}
	tree_set_astray(&watch->tree, directory, false);
	while ((entry = readdir(folder)) != NULL) {
		bool is_directory;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		is_directory = is_directory_entry(fd, entry);
		if (telling)
			watch_tell(watch, RECORD_CREATE, directory, entry->d_name, is_directory);
		if (is_directory)
			add_entry(watch, directory, fd, entry->d_name);
	}
	closedir(folder);
}

/* Looks through all directories that are new, and through those that are found by that. */
static void scan(struct watch *watch, bool telling)
{
	while (watch->to_scan_count > 0) {
		int wd = watch->to_scan[--watch->to_scan_count];
		struct directory *directory = tree_find(&watch->tree, wd);

		if (directory != NULL && watch->recursive)
			scan_directory(watch, directory, telling);
	}
}

/* Watches the root; returns an error number. */
static int add_root(struct watch *watch)
{
	int fd = open_below(watch, "");
	int error;

	if (fd < 0)
		return errno;
	error = add_open(watch, NULL, "", fd);
	close(fd);
	return error;
}

int watch_begin(struct watch *watch)
{
	int error;

	watch->events.start = watch->events.end = watch->events.settled = 0;
	watch->events.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->events.fd < 0)
		return errno;
	error = add_root(watch);
	if (error == 0)
		scan(watch, false);
	return error;
}

static void keep_watch(int wd, void *context)
{
	(void)wd;
	(void)context;
}

void watch_end(struct watch *watch)
{
	if (watch->events.fd >= 0)
		close(watch->events.fd);
	/* With it all watches are gone. */
	if (watch->tree.root != NULL)
		tree_remove(&watch->tree, watch->tree.root, keep_watch, NULL);
}

int watch_begin_anew(struct watch *watch)
{
	watch_end(watch);
	watch->lost = true;
	return watch_begin(watch);
}

void watch_add(struct watch *watch, struct directory *parent, const char *name)
{
	int fd = open_directory(watch, parent);
	struct directory *added;

	if (fd < 0)
		return;
	add_entry(watch, parent, fd, name);
	close(fd);
	/* What was astray below it may be found now. */
	added = tree_child(&watch->tree, parent, name);
	for (struct directory *at = added; at != NULL; at = tree_next(at, added)) {
		if (at->is_astray)
			scan_later(watch, at);
	}
	scan(watch, true);
}

void watch_move(struct watch *watch, struct directory *from, const char *old_name,
		struct directory *to, const char *name)
{
	struct directory *moved = tree_child(&watch->tree, from, old_name);
	struct directory *replaced = tree_child(&watch->tree, to, name);

	if (moved != NULL && moved != replaced && !tree_is_within(to, moved)) {
		if (!tree_move(&watch->tree, moved, to, name)) {
			watch->lost = true;
			watch_forget(watch, moved);
		}
		if (replaced != NULL)
			watch_forget(watch, replaced);
	}
	/* It may be another one than the tree has had there, or not have been in the tree. */
	watch_add(watch, to, name);
}

int watch_find_astray(struct watch *watch)
{
	return watch->tree.astray_count == 0 ? 0 : watch_begin_anew(watch);
}
