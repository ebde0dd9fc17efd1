/* The ranges of the VMM's address space that hold guest memory. */
#include "page-server.h"

static bool overlap(uint64_t first, uint64_t first_size, uint64_t second, uint64_t second_size)
{
	return first < second + second_size && second < first + first_size;
}

static const char *check_region(const struct region *region, uint64_t memory_size)
{
	uint64_t end;

	if (region->size == 0 || region->size > memory_size)
		return "a region is empty or larger than the memory";
	if (region->address % BLOCK_SIZE || region->size % BLOCK_SIZE || region->offset % BLOCK_SIZE)
		return "a region is not a number of pages";
	if (__builtin_add_overflow(region->address, region->size, &end))
		return "a region ends beyond the address space";
	if (region->offset > memory_size - region->size)
		return "a region ends beyond the memory";
	return NULL;
}

const char *check_regions(const struct region *regions, size_t count, uint64_t memory_size)
{
	uint64_t total = 0;

	if (count == 0 || count > REGIONS_MAX)
		return "there are no regions or too many";
	for (size_t index = 0; index < count; index++) {
		const struct region *region = &regions[index];
		const char *wrong = check_region(region, memory_size);

		if (wrong)
			return wrong;
		for (size_t other = 0; other < index; other++)
			if (overlap(region->address, region->size, regions[other].address,
				    regions[other].size) ||
			    overlap(region->offset, region->size, regions[other].offset,
				    regions[other].size))
				return "two regions overlap";
		total += region->size;
	}
	/* Without overlaps this says that every block is in one region. */
	return total == memory_size ? NULL : "the regions are not the whole memory";
}

const struct region *find_region(const struct page_server *server, uint64_t address)
{
	for (size_t index = 0; index < server->region_count; index++) {
		const struct region *region = &server->regions[index];

		if (address >= region->address && address - region->address < region->size)
			return region;
	}
	return NULL;
}
