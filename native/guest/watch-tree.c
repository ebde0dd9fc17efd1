/* The directories that are watched; see watch-tree.h. */
#include "watch-tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct directory **wd_bucket(const struct watch_tree *tree, int wd)
{
	return (struct directory **)&tree->by_wd[(unsigned int)wd % WATCH_BUCKETS];
}

/* FNV-1a over the name, from the address of the parent on. */
static struct directory **name_bucket(const struct watch_tree *tree,
				      const struct directory *parent, const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ULL ^ ((uintptr_t)parent >> 4);

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3ULL;
	hash ^= hash >> 32;
	return (struct directory **)&tree->by_name[hash % WATCH_BUCKETS];
}

static void link_wd(struct watch_tree *tree, struct directory *directory)
{
	struct directory **bucket = wd_bucket(tree, directory->wd);

	directory->next_of_wd = *bucket;
	*bucket = directory;
}

static void unlink_wd(struct watch_tree *tree, const struct directory *directory)
{
	struct directory **at = wd_bucket(tree, directory->wd);

	while (*at != directory)
		at = &(*at)->next_of_wd;
	*at = directory->next_of_wd;
}

static void link_place(struct watch_tree *tree, struct directory *directory)
{
	struct directory *parent = directory->parent;
	struct directory **bucket = name_bucket(tree, parent, directory->name);

	directory->next_of_name = *bucket;
	*bucket = directory;
	directory->previous_sibling = NULL;
	directory->next_sibling = parent != NULL ? parent->first_child : NULL;
	if (directory->next_sibling != NULL)
		directory->next_sibling->previous_sibling = directory;
	if (parent != NULL)
		parent->first_child = directory;
}

static void unlink_place(struct watch_tree *tree, struct directory *directory)
{
	struct directory **at = name_bucket(tree, directory->parent, directory->name);

	while (*at != directory)
		at = &(*at)->next_of_name;
	*at = directory->next_of_name;
	if (directory->next_sibling != NULL)
		directory->next_sibling->previous_sibling = directory->previous_sibling;
	if (directory->previous_sibling != NULL)
		directory->previous_sibling->next_sibling = directory->next_sibling;
	else if (directory->parent != NULL)
		directory->parent->first_child = directory->next_sibling;
}

int tree_add(struct watch_tree *tree, struct directory *parent, const char *name, int wd,
	     struct directory **added)
{
	struct directory *directory;

	if (tree->count >= WATCH_DIRECTORIES_MAX)
		return ENOSPC;
	directory = calloc(1, sizeof(*directory));
	if (directory == NULL)
		return ENOMEM;
	directory->name = strdup(name);
	if (directory->name == NULL) {
		free(directory);
		return ENOMEM;
	}
	directory->wd = wd;
	directory->parent = parent;
	link_wd(tree, directory);
	link_place(tree, directory);
	if (parent == NULL)
		tree->root = directory;
	tree->count++;
	*added = directory;
	return 0;
}

struct directory *tree_find(const struct watch_tree *tree, int wd)
{
	struct directory *directory = *wd_bucket(tree, wd);

	while (directory != NULL && directory->wd != wd)
		directory = directory->next_of_wd;
	return directory;
}

struct directory *tree_child(const struct watch_tree *tree, const struct directory *parent,
			     const char *name)
{
	struct directory *directory = *name_bucket(tree, parent, name);

	while (directory != NULL &&
	       (directory->parent != parent || strcmp(directory->name, name) != 0))
		directory = directory->next_of_name;
	return directory;
}

void tree_set_astray(struct watch_tree *tree, struct directory *directory, bool is_astray)
{
	tree->astray_count += (size_t)is_astray - (size_t)directory->is_astray;
	directory->is_astray = is_astray;
}

struct directory *tree_next(const struct directory *directory, const struct directory *top)
{
	if (directory->first_child != NULL)
		return directory->first_child;
	while (directory != top && directory->next_sibling == NULL)
		directory = directory->parent;
	return directory == top ? NULL : directory->next_sibling;
}

bool tree_is_within(const struct directory *directory, const struct directory *above)
{
	while (directory != NULL && directory != above)
		directory = directory->parent;
	return directory != NULL;
}

bool tree_move(struct watch_tree *tree, struct directory *directory, struct directory *parent,
	       const char *name)
{
	char *copy = strdup(name);

	if (copy == NULL)
		return false;
	unlink_place(tree, directory);
	free(directory->name);
	directory->name = copy;
	directory->parent = parent;
	link_place(tree, directory);
	return true;
}

static void forget(struct watch_tree *tree, struct directory *directory,
		   void (*forgotten)(int wd, void *context), void *context)
{
	tree_set_astray(tree, directory, false);
	unlink_wd(tree, directory);
	unlink_place(tree, directory);
	if (tree->root == directory)
		tree->root = NULL;
	tree->count--;
	forgotten(directory->wd, context);
	free(directory->name);
	free(directory);
}

void tree_remove(struct watch_tree *tree, struct directory *directory,
		 void (*forgotten)(int wd, void *context), void *context)
{
	struct directory *at = directory;

	/* From the leaves up, without recursion: a tree may be as deep as a path is long. */
	for (;;) {
		struct directory *parent = at->parent;
		bool last = at == directory;

		if (at->first_child != NULL) {
			at = at->first_child;
			continue;
		}
		forget(tree, at, forgotten, context);
		if (last)
			return;
		at = parent;
	}
}

bool tree_path(const struct directory *directory, const char *name,
	       char path[WATCH_PATH_BYTES_MAX])
{
	size_t start = WATCH_PATH_BYTES_MAX - 1;
	const char *part = name;

	/* From the end on, since a directory knows only those above it. */
	path[start] = '\0';
	for (;;) {
		size_t length = strlen(part);
		bool separated = length > 0 && path[start] != '\0';

		if (length + separated > start)
			return false;
		if (separated)
			path[--start] = '/';
		start -= length;
		memcpy(path + start, part, length);
		if (directory == NULL)
			break;
		part = directory->name;
		directory = directory->parent;
	}
	memmove(path, path + start, WATCH_PATH_BYTES_MAX - start);
	return true;
}
