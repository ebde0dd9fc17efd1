/* Parser of the handshake: as much JSON as its one shape needs. */
#include <stdbool.h>
#include <string.h>

#include "page-server-json.h"

#define PAGE_SIZE_ONLY 4096u
/* Nested values below a key that is not known. */
#define DEPTH_MAX 8

struct cursor {
	const char *at;
	const char *end;
	/* Whether it was the end that stopped it. */
	bool partial;
};

/* The next character, which is not consumed; 0 at the end. A zero in the text fits nowhere. */
static char peek(struct cursor *cursor)
{
	if (cursor->at < cursor->end)
		return *cursor->at;
	cursor->partial = true;
	return 0;
}

static char skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at) && *cursor->at)
		cursor->at++;
	return peek(cursor);
}

static bool take(struct cursor *cursor, char wanted)
{
	if (skip_space(cursor) != wanted)
		return false;
	cursor->at++;
	return true;
}

/* A string, as it stands between its quotes. */
static bool take_string(struct cursor *cursor, const char **text, size_t *length)
{
	if (!take(cursor, '"'))
		return false;
	*text = cursor->at;
	for (;;) {
		char character = peek(cursor);

		if ((unsigned char)character < ' ')
			return false;
		cursor->at++;
		if (character == '"')
			break;
		if (character != '\\')
			continue;
		if (!peek(cursor))
			return false;
		cursor->at++;
	}
	*length = (size_t)(cursor->at - *text) - 1;
	return true;
}

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

/* A whole number of 64 bits, without sign, fraction, or leading zero. */
static bool take_number(struct cursor *cursor, uint64_t *number)
{
	const char *start;

	if (!is_digit(skip_space(cursor)))
		return false;
	start = cursor->at;
	*number = 0;
	while (is_digit(peek(cursor))) {
		if (__builtin_mul_overflow(*number, (uint64_t)10, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(*cursor->at - '0'), number))
			return false;
		cursor->at++;
	}
	return *start != '0' || cursor->at - start == 1;
}

static bool skip_value(struct cursor *cursor, int depth);

static bool skip_members(struct cursor *cursor, char close, int depth)
{
	const char *text;
	size_t length;

	cursor->at++;
	if (skip_space(cursor) == close) {
		cursor->at++;
		return true;
	}
	do {
		if (close == '}' && (!take_string(cursor, &text, &length) || !take(cursor, ':')))
			return false;
		if (!skip_value(cursor, depth))
			return false;
	} while (take(cursor, ','));
	return take(cursor, close);
}

/* A number, true, false or null: told apart by nobody, as it is not used. */
static bool skip_word(struct cursor *cursor)
{
	const char *start = cursor->at;

	while (cursor->at < cursor->end && *cursor->at &&
	       strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", *cursor->at))
		cursor->at++;
	peek(cursor);
	return cursor->at > start;
}

static bool skip_value(struct cursor *cursor, int depth)
{
	const char *text;
	size_t length;

	if (depth == 0)
		return false;
	switch (skip_space(cursor)) {
	case '"':
		return take_string(cursor, &text, &length);
	case '{':
		return skip_members(cursor, '}', depth - 1);
	case '[':
		return skip_members(cursor, ']', depth - 1);
	default:
		return skip_word(cursor);
	}
}

enum member { ADDRESS, SIZE, OFFSET, PAGE_SIZE, PAGE_SIZE_KIB, MEMBERS };

static const char *const member_names[MEMBERS] = {
	"base_host_virt_addr", "size", "offset",
	"page_size", /* in bytes, and so is the older name for it: */
	"page_size_kib",
};

static enum member find_member(const char *name, size_t length)
{
	unsigned int index = 0;

	while (index < MEMBERS && (strlen(member_names[index]) != length ||
				   memcmp(member_names[index], name, length) != 0))
		index++;
	return (enum member)index;
}

static bool take_member(struct cursor *cursor, uint64_t numbers[MEMBERS], bool seen[MEMBERS])
{
	enum member member;
	const char *name;
	size_t length;

	if (!take_string(cursor, &name, &length) || !take(cursor, ':'))
		return false;
	member = find_member(name, length);
	if (member == MEMBERS)
		return skip_value(cursor, DEPTH_MAX);
	if (seen[member])
		return false;
	seen[member] = true;
	return take_number(cursor, &numbers[member]);
}

static bool take_region(struct cursor *cursor, struct region *region)
{
	uint64_t numbers[MEMBERS] = {0};
	bool seen[MEMBERS] = {false};

	if (!take(cursor, '{'))
		return false;
	do {
		if (!take_member(cursor, numbers, seen))
			return false;
	} while (take(cursor, ','));
	if (!take(cursor, '}'))
		return false;

	if (!seen[ADDRESS] || !seen[SIZE] || !seen[OFFSET] ||
	    (!seen[PAGE_SIZE] && !seen[PAGE_SIZE_KIB]))
		return false;
	if ((seen[PAGE_SIZE] && numbers[PAGE_SIZE] != PAGE_SIZE_ONLY) ||
	    (seen[PAGE_SIZE_KIB] && numbers[PAGE_SIZE_KIB] != PAGE_SIZE_ONLY))
		return false;
	*region = (struct region){
		.address = numbers[ADDRESS],
		.size = numbers[SIZE],
		.offset = numbers[OFFSET],
	};
	return true;
}

static bool take_regions(struct cursor *cursor, struct region *regions, size_t *count)
{
	*count = 0;
	if (!take(cursor, '['))
		return false;
	do {
		if (*count == REGIONS_MAX || !take_region(cursor, &regions[*count]))
			return false;
		(*count)++;
	} while (take(cursor, ','));
	return take(cursor, ']');
}

enum json_result parse_regions(const char *text, size_t length, struct region *regions,
			       size_t *count)
{
	struct cursor cursor = {.at = text, .end = text + length};

	if (take_regions(&cursor, regions, count)) {
		skip_space(&cursor);
		return cursor.at == cursor.end ? JSON_COMPLETE : JSON_INVALID;
	}
	return cursor.partial ? JSON_PARTIAL : JSON_INVALID;
}
