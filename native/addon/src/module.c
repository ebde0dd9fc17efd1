/*
 * Entry of the addon: what Node cannot do for the host agent. Every part is
 * reached through native/addon/binding.ts, which states the types.
 */
#include <stdbool.h>

#include "module.h"

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */)
{
	if (!register_crc32c(env, exports) || !register_page_server(env, exports) ||
	    !register_memory_scan(env, exports) || !register_memory_merge(env, exports))
		return NULL;
	return exports;
}
