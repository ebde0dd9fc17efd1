/* The command `watch` of wrenn-guest; see watch.c. */
#ifndef WRENN_GUEST_WATCH_H
#define WRENN_GUEST_WATCH_H

/* Returns the exit status; `arguments[0]` is the command's own name. */
int watch_main(int count, char *arguments[]);

#endif
