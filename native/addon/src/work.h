/* Work in a thread of libuv's pool, with a promise of its result. */
#ifndef WRENN_WORK_H
#define WRENN_WORK_H

#include <node_api.h>

struct work_kind {
	/* Its name, which an Error's message begins with. */
	const char *name;
	/* Runs in the thread. Returns 0 or an errno, with which the promise is rejected. */
	int (*execute)(void *data);
	/* Runs in JavaScript's thread after success. NULL leaves an exception pending, or rejects with EIO. */
	napi_value (*result)(napi_env env, void *data);
	/* Frees the data; runs once, also when the work never did. */
	void (*release)(void *data);
};

/* Starts the work, which owns `data` from here on, and returns its promise; NULL with an exception. */
napi_value start_work(napi_env env, const struct work_kind *kind, void *data);

#endif
