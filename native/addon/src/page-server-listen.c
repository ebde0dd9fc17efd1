/* The socket on which the VMM's handshake is awaited. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "page-server.h"

/* One VMM connects, once. */
#define BACKLOG 1

/*
 * Gives the socket to the VMM's user. Its folder may be that user's, who could
 * put another file in its place: the one that is opened here is looked at.
 */
static int give_socket(const char *path, uid_t uid)
{
	int file = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;
	int error = 0;

	if (file < 0)
		return errno;
	if (fstat(file, &status) != 0)
		error = errno;
	else if (!S_ISSOCK(status.st_mode) || status.st_nlink != 1)
		error = EPERM;
	else if (status.st_uid != uid && fchownat(file, "", uid, uid, AT_EMPTY_PATH) != 0)
		error = errno;
	close(file);
	return error;
}

int page_server_listen(struct page_server *server)
{
	const char *path = server->socket_address.sun_path;
	int error;

	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listener < 0)
		return errno;
	if (unlink(path) != 0 && errno != ENOENT)
		return errno;
	/* The name gets the mode of the descriptor; nobody can connect before listen(). */
	if (fchmod(server->listener, 0600) != 0 ||
	    bind(server->listener, (const struct sockaddr *)&server->socket_address,
		 sizeof(server->socket_address)) != 0)
		return errno;
	error = give_socket(path, server->uid);
	if (!error && listen(server->listener, BACKLOG) != 0)
		error = errno;
	if (error)
		page_server_unlisten(server);
	return error;
}

void page_server_unlisten(struct page_server *server)
{
	if (server->listener < 0)
		return;
	close(server->listener);
	server->listener = -1;
	unlink(server->socket_address.sun_path);
}
