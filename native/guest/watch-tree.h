/*
 * The directories that are watched: a tree by names, found by watch descriptor as well. A directory
 * holds only its name, so that a rename of one above it needs no further work.
 */
#ifndef WRENN_GUEST_WATCH_TREE_H
#define WRENN_GUEST_WATCH_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* Directories of one watch; the kernel holds about a kilobyte for each. */
	WATCH_DIRECTORIES_MAX = 65536,
	WATCH_BUCKETS = 4096,
	/* Of a path below the root, with its zero byte. */
	WATCH_PATH_BYTES_MAX = PATH_MAX,
};

struct directory {
	int wd;
	struct directory *parent;
	struct directory *first_child;
	struct directory *previous_sibling;
	struct directory *next_sibling;
	struct directory *next_of_wd;
	struct directory *next_of_name;
	/* Whether it was elsewhere when it was to be looked at. */
	bool is_astray;
	/* Empty for the root. */
	char *name;
};

struct watch_tree {
	struct directory *root;
	size_t count;
	size_t astray_count;
	struct directory *by_wd[WATCH_BUCKETS];
	struct directory *by_name[WATCH_BUCKETS];
};

/* Returns 0 or an error number: ENOMEM, or ENOSPC when there are as many as may be. */
int tree_add(struct watch_tree *tree, struct directory *parent, const char *name, int wd,
	     struct directory **added);

struct directory *tree_find(const struct watch_tree *tree, int wd);

struct directory *tree_child(const struct watch_tree *tree, const struct directory *parent,
			     const char *name);

void tree_set_astray(struct watch_tree *tree, struct directory *directory, bool is_astray);

/* The next one of `top` and those below it, depth first; NULL after the last. */
struct directory *tree_next(const struct directory *directory, const struct directory *top);

/* Whether `directory` is `above`, or below it. */
bool tree_is_within(const struct directory *directory, const struct directory *above);

/* Gives a directory another place, which nothing may hold and which is not within it. False, and
 * nothing is changed, without memory. */
bool tree_move(struct watch_tree *tree, struct directory *directory, struct directory *parent,
	       const char *name);

/* Forgets a directory and all below it; `forgotten` is told the watch descriptor of each. */
void tree_remove(struct watch_tree *tree, struct directory *directory,
		 void (*forgotten)(int wd, void *context), void *context);

/* Writes the path below the root of what has this name in a directory; false when it is too long. */
bool tree_path(const struct directory *directory, const char *name,
	       char path[WATCH_PATH_BYTES_MAX]);

#endif
