/* The options of startPageServer and adoptPageServer. */
#include <sys/socket.h>

#include "page-server.h"
#include "values.h"

static bool invalid(napi_env env, const char *message)
{
	throw_invalid(env, message);
	return false;
}

static bool read_common(napi_env env, napi_value options, struct page_server *server,
			struct page_server_paths *paths)
{
	napi_value memory;

	if (!read_property(env, options, "memory", &memory) ||
	    !read_mapped_memory(env, memory, &server->memory) ||
	    !read_size(env, options, "sizeBytes", &server->size) ||
	    !read_uint32(env, options, "runBlocksMax", &server->run_blocks_max) ||
	    !read_uint32(env, options, "uid", &server->uid) ||
	    !read_int(env, options, "pid", &server->pid) ||
	    !read_string(env, options, "removedPath", paths->removed, sizeof(paths->removed)))
		return false;
	if (server->size == 0 || server->size % BLOCK_SIZE ||
	    server->size / BLOCK_SIZE != server->memory.block_count)
		return invalid(env, "the runs are not as long as the memory");
	if (server->run_blocks_max == 0 || server->run_blocks_max > RUN_BLOCKS_MAX)
		return invalid(env, "runBlocksMax must be 1 to 512");
	return true;
}

/* Left out, there is nothing to replay. */
static bool read_replay(napi_env env, napi_value options, struct page_server *server)
{
	struct replay *replay = &server->replay;
	napi_value value;
	const char *wrong;
	size_t numbers;

	if (!read_property(env, options, "workingSet", &value))
		return false;
	if (!is_defined(env, value))
		return true;
	if (!read_uint32_array(env, options, "workingSet", &replay->pairs, &numbers))
		return false;
	wrong = check_replay(replay, numbers, server->memory.block_count);
	if (wrong)
		return invalid(env, wrong);
	replay->pair_count = numbers / 2;
	order_replay(replay);
	return true;
}

bool read_listen_options(napi_env env, napi_value options, struct page_server *server,
			 struct page_server_paths *paths)
{
	server->socket_address.sun_family = AF_UNIX;
	return read_common(env, options, server, paths) && read_replay(env, options, server) &&
	       read_int(env, options, "handshakeTimeoutMs", &server->handshake_timeout_ms) &&
	       read_string(env, options, "socketPath", server->socket_address.sun_path,
			   sizeof(server->socket_address.sun_path));
}

static bool read_regions(napi_env env, napi_value options, struct page_server *server)
{
	napi_value regions, element;
	uint32_t count;

	if (!read_property(env, options, "regions", &regions))
		return false;
	if (napi_get_array_length(env, regions, &count) != napi_ok || count > REGIONS_MAX)
		return invalid(env, "regions must be an array of at most 64");
	for (uint32_t index = 0; index < count; index++) {
		struct region *region = &server->regions[index];

		if (napi_get_element(env, regions, index, &element) != napi_ok ||
		    !read_bigint(env, element, "address", &region->address) ||
		    !read_size(env, element, "sizeBytes", &region->size) ||
		    !read_size(env, element, "offset", &region->offset))
			return false;
	}
	server->region_count = count;
	return true;
}

bool read_adopt_options(napi_env env, napi_value options, struct page_server *server,
			struct page_server_paths *paths)
{
	const char *wrong;

	if (!read_common(env, options, server, paths) || !read_regions(env, options, server))
		return false;
	if (server->pid == 0)
		return invalid(env, "pid must be that of the VMM");
	wrong = check_regions(server->regions, server->region_count, server->size);
	return !wrong || invalid(env, wrong);
}
