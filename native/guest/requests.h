/* The requests that wrenn-guest answers when it has no arguments; see requests.c. */
#ifndef WRENN_GUEST_REQUESTS_H
#define WRENN_GUEST_REQUESTS_H

/* Returns the exit status at the end of the requests; `count` is 1. */
int requests_main(int count, char *arguments[]);

#endif
