/* The commands `pty` and `resize` of wrenn-guest; see terminal.c. */
#ifndef WRENN_GUEST_TERMINAL_H
#define WRENN_GUEST_TERMINAL_H

/* Does not return when the program was started; else the exit status. */
int pty_main(int count, char *arguments[]);

/* Returns the exit status. */
int resize_main(int count, char *arguments[]);

#endif
