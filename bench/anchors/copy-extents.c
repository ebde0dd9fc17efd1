/*
 * copy-extents OUTPUT SIZE INPUT...
 *
 * Copies parts of files to the same places of a new one by copy_file_range.
 * Standard input has a part a line: the number of the input, place, length.
 * Prints the nanoseconds, without the reading of the lines.
 */
#include "common.h"

struct extent {
	int input;
	off_t place;
	size_t length;
};

static struct extent *read_extents(int *inputs, size_t input_count, size_t *count)
{
	struct extent *extents = NULL;
	unsigned long long place, length;
	size_t capacity = 0;
	unsigned int input;

	while (scanf("%u %llu %llu", &input, &place, &length) == 3) {
		if (input >= input_count)
			error(2, 0, "there is no input %u", input);
		if (*count == capacity) {
			capacity = capacity ? capacity * 2 : 1024;
			extents = reallocarray(extents, capacity, sizeof(*extents));
			if (!extents)
				error(1, errno, "reallocarray");
		}
		extents[(*count)++] = (struct extent){inputs[input], (off_t)place, length};
	}
	return extents;
}

static void copy(const struct extent *extent, int output)
{
	off_t from = extent->place, to = extent->place;
	size_t left = extent->length;

	while (left > 0) {
		ssize_t done = copy_file_range(extent->input, &from, output, &to, left, 0);

		if (done <= 0)
			error(1, errno, "copy_file_range");
		left -= (size_t)done;
	}
}

int main(int argc, char **argv)
{
	size_t input_count = argc > 3 ? (size_t)argc - 3 : 0, count = 0;
	int *inputs = calloc(input_count + 1, sizeof(*inputs));
	struct extent *extents;
	uint64_t started;
	int output;

	if (input_count == 0 || !inputs)
		error(2, 0, "usage: copy-extents OUTPUT SIZE INPUT...");
	for (size_t index = 0; index < input_count; index++) {
		inputs[index] = open(argv[index + 3], O_RDONLY | O_CLOEXEC);
		if (inputs[index] < 0)
			error(1, errno, "%s", argv[index + 3]);
	}
	extents = read_extents(inputs, input_count, &count);
	output = open(argv[1], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (output < 0)
		error(1, errno, "%s", argv[1]);

	started = now_ns();
	if (ftruncate(output, (off_t)parse_number(argv[2])) != 0)
		error(1, errno, "ftruncate");
	for (size_t index = 0; index < count; index++)
		copy(&extents[index], output);
	printf("%llu\n", (unsigned long long)(now_ns() - started));
	return 0;
}
