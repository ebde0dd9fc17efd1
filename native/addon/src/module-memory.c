/* scanMemory, mergeMemory and verifyMemory for JavaScript. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block-io.h"
#include "memory-merge.h"
#include "memory-scan.h"
#include "memory-verify.h"
#include "module.h"
#include "values.h"
#include "work.h"

/* Longer than the name of any kind of source. */
#define KIND_SIZE 16

static bool read_block_count(napi_env env, napi_value request, uint32_t *count)
{
	uint64_t size;

	if (!read_size(env, request, "sizeBytes", &size))
		return false;
	if (size == 0 || size % BLOCK_SIZE || size / BLOCK_SIZE > BLOCKS_MAX) {
		throw_invalid(env, "sizeBytes must be a multiple of 4096, at most 64 GiB");
		return false;
	}
	*count = (uint32_t)(size / BLOCK_SIZE);
	return true;
}

static bool read_source(napi_env env, napi_value request, struct guest_memory *guest)
{
	char kind[KIND_SIZE];
	napi_value source;

	if (!read_property(env, request, "source", &source) ||
	    !read_string(env, source, "kind", kind, sizeof(kind)))
		return false;
	if (strcmp(kind, "memfd") == 0) {
		guest->kind = SHARED_FILE;
		return read_descriptor(env, source, "fd", &guest->memfd);
	}
	if (strcmp(kind, "private") == 0) {
		guest->kind = PRIVATE_MAP;
		return read_int(env, source, "pid", &guest->pid) &&
		       read_bigint(env, source, "address", &guest->address);
	}
	throw_invalid(env, "kind must be memfd or private");
	return false;
}

static bool read_parent(napi_env env, napi_value request, struct memory_scan *scan)
{
	napi_value parent;

	if (!read_property(env, request, "parent", &parent))
		return false;
	scan->has_parent = is_defined(env, parent);
	if (!scan->has_parent) {
		/* Where such a map was not written it holds its file, which is the parent's. */
		if (scan->guest.kind == PRIVATE_MAP)
			throw_invalid(env, "a private map must have a parent");
		return scan->guest.kind != PRIVATE_MAP;
	}
	if (!read_mapped_memory(env, parent, &scan->parent))
		return false;
	if (scan->parent.block_count == scan->guest.block_count)
		return true;
	throw_invalid(env, "the parent must be of the same size");
	return false;
}

static bool read_removed(napi_env env, napi_value request, struct memory_scan *scan)
{
	napi_value removed;
	size_t length;

	if (!read_property(env, request, "removed", &removed))
		return false;
	if (!is_defined(env, removed))
		return true;
	if (!read_bytes(env, removed, &scan->removed, &length))
		return false;
	if (length * 8 >= scan->guest.block_count)
		return true;
	throw_invalid(env, "removed must have a bit for each block");
	return false;
}

static void release_scan(void *data)
{
	free_scan(data);
}

static int execute_scan(void *data)
{
	return scan_memory(data);
}

static napi_value scan_result(napi_env env, void *data)
{
	const struct memory_scan *scan = data;
	const struct number_list *runs = &scan->diff.runs, *checksums = &scan->diff.checksums;
	napi_value result;

	if (napi_create_object(env, &result) == napi_ok &&
	    set_uint32_array(env, result, "runs", runs->numbers, runs->count) &&
	    set_uint32_array(env, result, "checksums", checksums->numbers, checksums->count) &&
	    set_number(env, result, "scannedBlocks", (double)scan->scanned_blocks) &&
	    set_number(env, result, "writtenBlocks", (double)checksums->count))
		return result;
	return NULL;
}

static const struct work_kind scan_kind = {
	.name = "scanMemory",
	.execute = execute_scan,
	.result = scan_result,
	.release = release_scan,
};

static napi_value start_scan(napi_env env, napi_callback_info info)
{
	struct memory_scan *scan = calloc(1, sizeof(*scan));
	napi_value request;

	if (!scan) {
		throw_error(env, ENOMEM, scan_kind.name);
		return NULL;
	}
	scan->guest.memfd = scan->guest.pagemap = scan->guest.pidfd = scan->output = -1;
	if (read_arguments(env, info, 1, &request) &&
	    read_block_count(env, request, &scan->guest.block_count) &&
	    read_source(env, request, &scan->guest) && read_parent(env, request, scan) &&
	    read_removed(env, request, scan) &&
	    read_descriptor(env, request, "outputFd", &scan->output))
		return start_work(env, &scan_kind, scan);
	free_scan(scan);
	return NULL;
}

/* What mergeMemory and verifyMemory work on. */
struct memory_work {
	struct mapped_memory memory;
	int output;
	uint64_t written_blocks;
	int64_t wrong_block;
};

static void release_memory(void *data)
{
	struct memory_work *work = data;

	free_mapped_memory(&work->memory);
	if (work->output >= 0)
		close(work->output);
	free(work);
}

static struct memory_work *make_work(napi_env env, const struct work_kind *kind)
{
	struct memory_work *work = calloc(1, sizeof(*work));

	if (work)
		work->output = -1;
	else
		throw_error(env, ENOMEM, kind->name);
	return work;
}

static bool has_blocks(napi_env env, const struct memory_work *work)
{
	if (work->memory.block_count > 0 && work->memory.block_count <= BLOCKS_MAX)
		return true;
	throw_invalid(env, "runs must describe at most 64 GiB");
	return false;
}

static int execute_merge(void *data)
{
	struct memory_work *work = data;

	return merge_memory(&work->memory, work->output, &work->written_blocks);
}

static napi_value merge_result(napi_env env, void *data)
{
	const struct memory_work *work = data;
	napi_value result;

	if (napi_create_object(env, &result) == napi_ok &&
	    set_number(env, result, "writtenBlocks", (double)work->written_blocks))
		return result;
	return NULL;
}

static const struct work_kind merge_kind = {
	.name = "mergeMemory",
	.execute = execute_merge,
	.result = merge_result,
	.release = release_memory,
};

static napi_value start_merge(napi_env env, napi_callback_info info)
{
	struct memory_work *work = make_work(env, &merge_kind);
	napi_value request;

	if (!work)
		return NULL;
	if (read_arguments(env, info, 1, &request) &&
	    read_files_and_runs(env, request, &work->memory) && has_blocks(env, work) &&
	    read_descriptor(env, request, "outputFd", &work->output))
		return start_work(env, &merge_kind, work);
	release_memory(work);
	return NULL;
}

static int execute_verify(void *data)
{
	struct memory_work *work = data;

	return verify_memory(&work->memory, &work->wrong_block);
}

static napi_value verify_result(napi_env env, void *data)
{
	const struct memory_work *work = data;
	napi_value result;

	return napi_create_int64(env, work->wrong_block, &result) == napi_ok ? result : NULL;
}

static const struct work_kind verify_kind = {
	.name = "verifyMemory",
	.execute = execute_verify,
	.result = verify_result,
	.release = release_memory,
};

static napi_value start_verify(napi_env env, napi_callback_info info)
{
	struct memory_work *work = make_work(env, &verify_kind);
	napi_value memory;

	if (!work)
		return NULL;
	if (read_arguments(env, info, 1, &memory) &&
	    read_mapped_memory(env, memory, &work->memory) && has_blocks(env, work))
		return start_work(env, &verify_kind, work);
	release_memory(work);
	return NULL;
}

bool register_memory(napi_env env, napi_value exports)
{
	return set_function(env, exports, "scanMemory", start_scan) &&
	       set_function(env, exports, "mergeMemory", start_merge) &&
	       set_function(env, exports, "verifyMemory", start_verify);
}
