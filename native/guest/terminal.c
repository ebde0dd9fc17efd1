/*
 * Terminals of programs. envd opens /dev/ptmx and reads and writes that end itself; these commands
 * get it as descriptor 3 and do the ioctls that Node has no call for.
 *
 *     wrenn-guest pty COLS ROWS UID GID GROUPS PROGRAM NAME [ARGUMENT]...
 *
 * becomes PROGRAM, an absolute path, under NAME, on the terminal's other end: leader of a session
 * whose controlling terminal it is, with the ids of a user and further GROUPS, numbers with commas
 * between them, or `-` for none. Standard output is where it says what went wrong: a step and an
 * error number. Nothing is said and the descriptor closes as soon as PROGRAM runs.
 *
 *     terminal 5
 *     user 1
 *     program 2
 *
 *     wrenn-guest resize COLS ROWS
 *
 * changes the size; the kernel sends SIGWINCH to the terminal's foreground process group.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "print.h"
#include "terminal.h"

enum {
	MASTER_FD = 3,
	/* Above the descriptors that the program gets, and that envd gives. */
	STATUS_FD_MIN = 10,

	/* `pty`, sizes, ids, groups, program and name. */
	PTY_ARGUMENTS_MIN = 8,
	RESIZE_ARGUMENTS = 3,
	GROUPS_MAX = 1024,
	SLAVE_MODE = 0620,
	STATUS_BYTES = 64,
	EXIT_NOT_STARTED = 127,
};

struct user {
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	size_t group_count;
};

/* Reads decimal digits up to `end`, which is a comma or the end of the text. */
static bool parse_number(const char *text, const char *end, uint32_t max, uint32_t *number)
{
	uint32_t value = 0;

	if (text == end)
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint32_t)(*text - '0'), &value))
			return false;
	}
	*number = value;
	return value <= max;
}

static bool parse_whole(const char *text, uint32_t max, uint32_t *number)
{
	return parse_number(text, text + strlen(text), max, number);
}

static bool parse_size(char *arguments[], struct winsize *size)
{
	uint32_t columns;
	uint32_t rows;

	if (!parse_whole(arguments[0], USHRT_MAX, &columns) ||
	    !parse_whole(arguments[1], USHRT_MAX, &rows))
		return false;
	*size = (struct winsize){ .ws_col = (unsigned short)columns,
				  .ws_row = (unsigned short)rows };
	return true;
}

static bool parse_groups(const char *text, struct user *user)
{
	user->group_count = 0;
	if (strcmp(text, "-") == 0)
		return true;
	for (;;) {
		const char *end = strchrnul(text, ',');

		/* The largest number means no group at all. */
		if (user->group_count == GROUPS_MAX ||
		    !parse_number(text, end, UINT32_MAX - 1, &user->groups[user->group_count]))
			return false;
		user->group_count++;
		if (*end == '\0')
			return true;
		text = end + 1;
	}
}

static bool parse_user(char *arguments[], struct user *user)
{
	return parse_whole(arguments[0], UINT32_MAX - 1, &user->uid) &&
	       parse_whole(arguments[1], UINT32_MAX - 1, &user->gid) &&
	       parse_groups(arguments[2], user);
}

/* Makes an open terminal standard input and both outputs, and closes all else but one. */
static bool take_as_standard(int slave, int status_fd)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (dup2(slave, fd) < 0)
			return false;
	}
	return close_range(STDERR_FILENO + 1, (unsigned int)status_fd - 1, 0) == 0 &&
	       close_range((unsigned int)status_fd + 1, UINT_MAX, 0) == 0;
}

/* Returns 0 or an error number; what is open then closes with the process. */
static int become_leader(const struct winsize *size, uid_t owner, int status_fd)
{
	int locked = 0;
	int slave;

	/* A process that was started as leader of its session may not make one. */
	if (setsid() < 0 && getsid(0) != getpid())
		return errno;
	if (ioctl(MASTER_FD, TIOCSPTLCK, &locked) != 0)
		return errno;
	slave = ioctl(MASTER_FD, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (slave < 0)
		return errno;
	if (fchown(slave, owner, (gid_t)-1) != 0 || fchmod(slave, SLAVE_MODE) != 0 ||
	    ioctl(slave, TIOCSWINSZ, size) != 0 || ioctl(slave, TIOCSCTTY, 0) != 0 ||
	    !take_as_standard(slave, status_fd))
		return errno;
	return 0;
}

static int become_user(const struct user *user)
{
	if (setgroups(user->group_count, user->groups) != 0 ||
	    setresgid(user->gid, user->gid, user->gid) != 0 ||
	    setresuid(user->uid, user->uid, user->uid) != 0)
		return errno;
	return 0;
}

static int not_started(int status_fd, const char *step, int error)
{
	char status[STATUS_BYTES];
	int length = snprintf(status, sizeof(status), "%s %d\n", step, error);

	write_all(status_fd, status, (size_t)length);
	return EXIT_NOT_STARTED;
}

int pty_main(int count, char *arguments[])
{
	struct winsize size;
	struct user user;
	int status_fd;
	int error;

	if (count < PTY_ARGUMENTS_MIN || !parse_size(arguments + 1, &size) ||
	    !parse_user(arguments + 3, &user) || *arguments[6] != '/')
		return fail("no valid arguments, see --help");
	status_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STATUS_FD_MIN);
	if (status_fd < 0)
		return fail("standard output is not open");
	error = become_leader(&size, user.uid, status_fd);
	if (error != 0)
		return not_started(status_fd, "terminal", error);
	error = become_user(&user);
	if (error != 0)
		return not_started(status_fd, "user", error);
	/* Like a shell it runs a script that names no interpreter. */
	execvp(arguments[6], arguments + 7);
	return not_started(status_fd, "program", errno);
}

int resize_main(int count, char *arguments[])
{
	struct winsize size;

	if (count != RESIZE_ARGUMENTS || !parse_size(arguments + 1, &size))
		return fail("no valid arguments, see --help");
	return ioctl(MASTER_FD, TIOCSWINSZ, &size) == 0 ? EXIT_DONE : EXIT_NOT_ANSWERED;
}
