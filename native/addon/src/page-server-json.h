/*
 * The text of Firecracker's page fault handshake:
 *
 *     [{"base_host_virt_addr":139806017323008,"size":134217728,"offset":0,"page_size":4096}]
 *
 * It comes from a VMM that a guest may have taken over: nothing in it is
 * trusted, and its size, its depth and its regions are bounded.
 */
#ifndef WRENN_PAGE_SERVER_JSON_H
#define WRENN_PAGE_SERVER_JSON_H

#include <stddef.h>
#include <stdint.h>

/* Firecracker has 2 beyond 3 GiB; memory that is plugged in later adds some. */
#define REGIONS_MAX 64u
/* Bytes of the whole text: REGIONS_MAX of them with every key, and as much again. */
#define HANDSHAKE_SIZE_MAX 32768u

/* One range of the VMM's address space that holds guest memory. */
struct region {
	uint64_t address;
	uint64_t size;
	/* Place in the guest's memory image. */
	uint64_t offset;
};

enum json_result {
	JSON_COMPLETE,
	/* The text is right so far, but not at its end. */
	JSON_PARTIAL,
	JSON_INVALID,
};

/*
 * Reads the regions. A key that is not known is skipped; one that is there twice, a page size
 * other than 4096 bytes, and anything after the array are invalid.
 */
enum json_result parse_regions(const char *text, size_t length, struct region *regions,
			       size_t *count);

#endif
