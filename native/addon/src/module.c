/*
 * Entry of the addon: what Node cannot do for the host agent. Every part is
 * reached through native/addon/binding.ts, which states the types.
 */
#include "module.h"

typedef bool (*register_part)(napi_env env, napi_value exports);

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */)
{
	const register_part parts[] = {
		register_work,
		register_crc32c,
		register_file_writers,
		register_memory_flat,
		register_page_server,
		register_memory,
	};

	for (size_t index = 0; index < sizeof(parts) / sizeof(*parts); index++)
		if (!parts[index](env, exports))
			return NULL;
	return exports;
}
