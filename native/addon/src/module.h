/* What each part of the addon exports, and how it answers JavaScript. */
#ifndef WRENN_MODULE_H
#define WRENN_MODULE_H

#include <stdbool.h>

#include <node_api.h>

/* Each adds its functions to `exports`; false leaves a JavaScript exception pending. */
bool register_crc32c(napi_env env, napi_value exports);
bool register_file_writers(napi_env env, napi_value exports);
bool register_memory_flat(napi_env env, napi_value exports);
bool register_page_server(napi_env env, napi_value exports);
bool register_memory(napi_env env, napi_value exports);
/* Exports nothing; must come before what works in threads. */
bool register_work(napi_env env, napi_value exports);

#endif
