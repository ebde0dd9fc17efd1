/*
 * Reads what JavaScript passes, and makes what it gets. A reader that returns
 * false leaves a JavaScript exception pending.
 */
#ifndef WRENN_VALUES_H
#define WRENN_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <node_api.h>

/* An Error whose `code` is the name of `error`, such as ENOSPC, and which says what failed. */
napi_value make_error(napi_env env, int error, const char *operation);
void throw_error(napi_env env, int error, const char *operation);
/* A TypeError or RangeError of the caller's making: `code` is EINVAL. */
void throw_invalid(napi_env env, const char *message);

/* The arguments of a call; those that are missing are undefined. */
bool read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *arguments);

bool is_defined(napi_env env, napi_value value);
bool read_property(napi_env env, napi_value object, const char *name, napi_value *value);
bool read_uint32(napi_env env, napi_value object, const char *name, uint32_t *number);
/* A file descriptor or process id: 0 to INT_MAX. */
bool read_int(napi_env env, napi_value object, const char *name, int *number);
/* A duplicate of a file descriptor, which the caller may close meanwhile; -1 when it returns false. */
bool read_descriptor(napi_env env, napi_value object, const char *name, int *descriptor);
/* A JavaScript number that is a whole one and not negative. */
bool read_size(napi_env env, napi_value object, const char *name, uint64_t *number);
bool read_bigint(napi_env env, napi_value object, const char *name, uint64_t *number);
/* A string that with its end fits into `size` bytes. */
bool read_string(napi_env env, napi_value object, const char *name, char *text, size_t size);

/* Copies of the content of a Uint32Array or Uint8Array, for free(); NULL when it is empty. */
bool read_uint32_array(napi_env env, napi_value object, const char *name, uint32_t **numbers,
		       size_t *count);
bool read_bytes(napi_env env, napi_value value, uint8_t **bytes, size_t *length);

bool set_number(napi_env env, napi_value object, const char *name, double number);
bool set_bigint(napi_env env, napi_value object, const char *name, uint64_t number);
bool set_string(napi_env env, napi_value object, const char *name, const char *text);
/* A Uint32Array with a copy of the numbers; NULL when that failed. */
napi_value make_uint32_array(napi_env env, const uint32_t *numbers, size_t count);
bool set_uint32_array(napi_env env, napi_value object, const char *name, const uint32_t *numbers,
		      size_t count);
bool set_function(napi_env env, napi_value object, const char *name, napi_callback callback);

#endif
