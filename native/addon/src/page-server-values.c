/* What a page server tells JavaScript, as JavaScript's values. */
#include <errno.h>
#include <stdlib.h>

#include "page-server.h"
#include "values.h"

static napi_value make_region(napi_env env, const struct region *region)
{
	napi_value made;

	if (napi_create_object(env, &made) != napi_ok ||
	    !set_bigint(env, made, "address", region->address) ||
	    !set_number(env, made, "sizeBytes", (double)region->size) ||
	    !set_number(env, made, "offset", (double)region->offset))
		return NULL;
	return made;
}

napi_value make_handshake(napi_env env, const struct page_server *server)
{
	napi_value made, regions;

	if (napi_create_object(env, &made) != napi_ok ||
	    napi_create_array(env, &regions) != napi_ok ||
	    !set_number(env, made, "pid", server->pid) ||
	    napi_set_named_property(env, made, "regions", regions) != napi_ok)
		return NULL;
	for (uint32_t index = 0; index < server->region_count; index++) {
		napi_value region = make_region(env, &server->regions[index]);

		if (!region || napi_set_element(env, regions, index, region) != napi_ok)
			return NULL;
	}
	return made;
}

napi_value make_statistics(napi_env env, const struct page_server_statistics *counted)
{
	const struct {
		const char *name;
		const _Atomic uint64_t *counter;
	} counters[] = {
		{"faults", &counted->faults},
		{"demandFaults", &counted->demand_faults},
		{"servedBlocks", &counted->served_blocks},
		{"zeroBlocks", &counted->zero_blocks},
		{"removedBlocks", &counted->removed_blocks},
		{"replayedBlocks", &counted->replayed_blocks},
		{"ioctls", &counted->ioctls},
		{"eagain", &counted->eagain},
		{"eexist", &counted->eexist},
	};
	napi_value made;

	if (napi_create_object(env, &made) != napi_ok)
		return NULL;
	for (size_t index = 0; index < sizeof(counters) / sizeof(*counters); index++)
		if (!set_number(env, made, counters[index].name,
				(double)atomic_load(counters[index].counter)))
			return NULL;
	return made;
}

napi_value make_working_set(napi_env env, struct recorded_blocks *recorded)
{
	napi_value made = NULL;
	uint32_t *numbers;
	size_t count;
	int error = copy_recorded(recorded, &numbers, &count);

	if (error)
		throw_error(env, error, "working set");
	else
		made = make_uint32_array(env, numbers, count);
	free(numbers);
	return made;
}
