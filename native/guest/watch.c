/*
 * Tells what happens in a directory, which Node cannot do without losing events:
 *
 *     wrenn-guest watch [--recursive] PATH
 *
 * A link at the end of PATH is followed, links below it are not. Standard output takes the records
 * of watch-records.h: first RECORD_READY, or RECORD_ENDED when there is nothing to watch; last
 * RECORD_ENDED, after the directory was removed or renamed.
 *
 * With --recursive the directories below are watched too, also those that are made later. What is
 * in such a one by the time at which it is watched is told as created, some of it perhaps twice.
 * RECORD_OVERFLOW stands for events that the kernel has dropped, for directories that cannot be
 * watched (beyond the limits, or too deep), and for directories that have changed places faster than
 * they were followed, so that what was told of one belongs to another.
 *
 * Exits 0, or 2 for wrong arguments. Ends with the process that has started it, and when nobody
 * reads its output.
 */
#define _GNU_SOURCE
#include "watch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "watch-directories.h"

enum {
	EXIT_ENDED = 0,
	EXIT_USAGE = 2,
};

static void tell(struct watch *watch, enum record_kind kind, const char *path, bool is_directory)
{
	struct record record = { .kind = kind, .path = path, .is_directory = is_directory };

	records_add(&watch->records, &record);
}

static void tell_lost(struct watch *watch)
{
	if (watch->lost)
		tell(watch, RECORD_OVERFLOW, NULL, false);
	watch->lost = false;
}

/* Something with this name has appeared. */
static void on_created(struct watch *watch, struct directory *directory, const char *name,
		       bool is_directory)
{
	watch_tell(watch, RECORD_CREATE, directory, name, is_directory);
	if (is_directory && watch->recursive)
		watch_add(watch, directory, name);
}

/* What had this name is gone. */
static void on_removed(struct watch *watch, struct directory *directory, const char *name,
		       bool is_directory)
{
	struct directory *removed = tree_child(&watch->tree, directory, name);

	watch_tell(watch, RECORD_REMOVE, directory, name, is_directory);
	if (removed != NULL)
		watch_forget(watch, removed);
}

static void tell_rename(struct watch *watch, const struct directory *from, const char *old_name,
			const struct directory *to, const char *name, bool is_directory)
{
	char old_path[WATCH_PATH_BYTES_MAX];
	char path[WATCH_PATH_BYTES_MAX];
	struct record record = {
		.kind = RECORD_RENAME,
		.is_directory = is_directory,
		.path = path,
		.old_path = old_path,
	};

	if (tree_path(from, old_name, old_path) && tree_path(to, name, path))
		records_add(&watch->records, &record);
	else
		watch->lost = true;
}

static void on_moved_from(struct watch *watch, const struct inotify_event *event,
			  struct directory *directory)
{
	bool is_directory = (event->mask & IN_ISDIR) != 0;
	struct inotify_event *pair = events_take_pair(&watch->events, event->cookie);
	struct directory *to = pair == NULL ? NULL : tree_find(&watch->tree, pair->wd);

	if (to == NULL) {
		on_removed(watch, directory, event->name, is_directory);
		return;
	}
	tell_rename(watch, directory, event->name, to, pair->name, is_directory);
	if (is_directory && watch->recursive)
		watch_move(watch, directory, event->name, to, pair->name);
}

/* What happens to a watched directory itself; those below the root are told of by their parent. */
static int on_self(struct watch *watch, const struct inotify_event *event,
		   struct directory *directory)
{
	if (directory != watch->tree.root) {
		if ((event->mask & IN_IGNORED) != 0)
			watch_forget(watch, directory);
		return 0;
	}
	if ((event->mask & IN_ATTRIB) != 0)
		tell(watch, RECORD_CHMOD, NULL, true);
	if ((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) == 0)
		return 0;
	tell(watch, RECORD_REMOVE, NULL, true);
	return ENOENT;
}

/* Returns an error number when the watch has ended. */
static int handle(struct watch *watch, const struct inotify_event *event)
{
	struct directory *directory = tree_find(&watch->tree, event->wd);
	bool is_directory = (event->mask & IN_ISDIR) != 0;

	if ((event->mask & IN_Q_OVERFLOW) != 0)
		return watch_begin_anew(watch);
	if (directory == NULL)
		return 0;
	if (event->len == 0)
		return on_self(watch, event, directory);
	if ((event->mask & (IN_CREATE | IN_MOVED_TO)) != 0)
		on_created(watch, directory, event->name, is_directory);
	else if ((event->mask & IN_DELETE) != 0)
		on_removed(watch, directory, event->name, is_directory);
	else if ((event->mask & IN_MOVED_FROM) != 0)
		on_moved_from(watch, event, directory);
	else if ((event->mask & IN_MODIFY) != 0)
		watch_tell(watch, RECORD_WRITE, directory, event->name, is_directory);
	else if ((event->mask & IN_ATTRIB) != 0)
		watch_tell(watch, RECORD_CHMOD, directory, event->name, is_directory);
	return 0;
}

static int handle_batch(struct watch *watch)
{
	struct inotify_event *event;
	int error = events_read(&watch->events);

	while (error == 0 && (event = events_next(&watch->events)) != NULL)
		error = handle(watch, event);
	if (error == 0 && !events_are_waiting(&watch->events))
		error = watch_find_astray(watch);
	tell_lost(watch);
	return error;
}

static int run(struct watch *watch)
{
	int error = watch_begin(watch);

	if (error != 0)
		return error;
	tell(watch, RECORD_READY, NULL, true);
	tell_lost(watch);
	while (error == 0) {
		records_flush(&watch->records);
		if (watch->records.refused)
			return EPIPE;
		error = events_wait(&watch->events, watch->records.fd);
		if (error == 0)
			error = handle_batch(watch);
	}
	return error;
}

int watch_main(int count, char *arguments[])
{
	/* Static, since it is large. */
	static struct watch watch;
	struct record ended = { .kind = RECORD_ENDED };
	bool recursive = count == 3 && strcmp(arguments[1], "--recursive") == 0;

	if (count != (recursive ? 3 : 2) || arguments[count - 1][0] != '/')
		return EXIT_USAGE;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	watch.root_path = arguments[count - 1];
	watch.recursive = recursive;
	watch.records.fd = STDOUT_FILENO;

	ended.error = run(&watch);
	records_add(&watch.records, &ended);
	records_flush(&watch.records);
	watch_end(&watch);
	return EXIT_ENDED;
}
