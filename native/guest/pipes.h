/* The pipes command of wrenn-guest. */
#ifndef WRENN_GUEST_PIPES_H
#define WRENN_GUEST_PIPES_H

int pipes_main(int count, char *arguments[]);

#endif
