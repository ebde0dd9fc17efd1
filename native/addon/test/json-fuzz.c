/*
 * Throws wrong handshakes at the parser, under a sanitizer:
 *
 *     json_fuzz <seed> <rounds>
 *
 * Each text lies at the end of an allocation of its own size, so that reading
 * beyond it is seen. Prints what it did.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/page-server-json.h"

#define LENGTH_MAX 600

static const char *const samples[] = {
	"[{\"base_host_virt_addr\":139806017323008,\"size\":134217728,\"offset\":0,"
	"\"page_size\":4096,\"page_size_kib\":4096}]",
	" [ { \"base_host_virt_addr\" : 4096 , \"size\" : 18446744073709551615 , \"offset\" : 0 ,"
	" \"page_size_kib\" : 4096 } , {\"base_host_virt_addr\":1,\"size\":2,\"offset\":3,"
	"\"page_size\":4096}]\n",
	"[{\"x\":{\"y\":[1,2,{\"z\":null}],\"w\":\"a\\\"b\"},\"size\":1,\"offset\":0,"
	"\"base_host_virt_addr\":1,\"page_size\":4096}]",
};

static const char pieces[] = "[]{},:\"\\0123456789aeE+-. \n\x01\xff";

static uint64_t state;

static size_t below(size_t limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (size_t)(state % limit);
}

static size_t mutate(char *text, size_t length)
{
	size_t at = length ? below(length) : 0, part;

	switch (below(5)) {
	case 0: /* another character */
		if (length)
			text[at] = pieces[below(sizeof(pieces))];
		return length;
	case 1: /* one bit */
		if (length)
			text[at] = (char)(text[at] ^ (1 << below(8)));
		return length;
	case 2: /* cut */
		return at;
	case 3: /* a part twice */
		part = length ? below(length - at + 1) : 0;
		if (length + part > LENGTH_MAX)
			return length;
		memmove(text + at + part, text + at, length - at);
		return length + part;
	default: /* one more character */
		if (length == LENGTH_MAX)
			return length;
		memmove(text + at + 1, text + at, length - at);
		text[at] = pieces[below(sizeof(pieces))];
		return length + 1;
	}
}

static enum json_result parse_copy(const char *text, size_t length)
{
	struct region *regions = calloc(REGIONS_MAX, sizeof(*regions));
	char *copy = malloc(length ? length : 1);
	enum json_result result;
	size_t count = 0;

	if (!regions || !copy)
		exit(1);
	memcpy(copy, text, length);
	result = parse_regions(copy + (length ? 0 : 1), length, regions, &count);
	if (count > REGIONS_MAX || (result == JSON_COMPLETE && count == 0))
		abort();
	free(copy);
	free(regions);
	return result;
}

/* What is cut anywhere is not yet wrong. */
static void check_prefixes(const char *text)
{
	size_t end = strlen(text);

	while (end && strchr(" \n", text[end - 1]))
		end--;
	for (size_t length = 0; length < end; length++)
		if (parse_copy(text, length) != JSON_PARTIAL)
			abort();
	if (parse_copy(text, strlen(text)) != JSON_COMPLETE)
		abort();
}

int main(int count, char **arguments)
{
	size_t results[3] = {0}, rounds;
	char text[LENGTH_MAX];

	if (count != 3)
		return 2;
	state = strtoull(arguments[1], NULL, 10) | 1;
	rounds = strtoul(arguments[2], NULL, 10);
	for (size_t index = 0; index < sizeof(samples) / sizeof(*samples); index++)
		check_prefixes(samples[index]);
	for (size_t round = 0; round < rounds; round++) {
		const char *sample = samples[below(sizeof(samples) / sizeof(*samples))];
		size_t length = strlen(sample), changes = 1 + below(6);

		memcpy(text, sample, length);
		while (changes--)
			length = mutate(text, length);
		results[parse_copy(text, length)]++;
	}
	printf("seed %s: %zu complete, %zu partial, %zu invalid\n", arguments[1],
	       results[JSON_COMPLETE], results[JSON_PARTIAL], results[JSON_INVALID]);
	return 0;
}
