/*
 * One watch, and the part of it that keeps the tree of watched directories as it is on the disk;
 * watch.c has the rest.
 */
#ifndef WRENN_GUEST_WATCH_DIRECTORIES_H
#define WRENN_GUEST_WATCH_DIRECTORIES_H

#include <stdbool.h>
#include <stddef.h>

#include "watch-events.h"
#include "watch-records.h"
#include "watch-tree.h"

struct watch {
	const char *root_path;
	bool recursive;
	/* Whether events were lost since that was last told. */
	bool lost;
	struct watch_tree tree;
	struct events events;
	struct records records;
	/* Watch descriptors of the directories that are to be looked through. */
	int to_scan[WATCH_DIRECTORIES_MAX];
	size_t to_scan_count;
};

/* Begins to watch; returns an error number. */
int watch_begin(struct watch *watch);

/* Begins anew: after the kernel has dropped events nobody knows which directories there are. */
int watch_begin_anew(struct watch *watch);

/* After all events were taken: begins anew when a directory is not where it must be by them. */
int watch_find_astray(struct watch *watch);

/* Lets go of everything. */
void watch_end(struct watch *watch);

/* Watches a directory and those below it, tells of all that is in them. It may be gone meanwhile. */
void watch_add(struct watch *watch, struct directory *parent, const char *name);

/* Watches a directory and those below it no longer. */
void watch_forget(struct watch *watch, struct directory *directory);

/* Makes the tree follow a rename of a directory. */
void watch_move(struct watch *watch, struct directory *from, const char *old_name,
		struct directory *to, const char *name);

/* Tells of what has this name in a directory. */
void watch_tell(struct watch *watch, enum record_kind kind, const struct directory *directory,
		const char *name, bool is_directory);

#endif
