#include "common/http_listen.h"

#include "common/mem.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 512
#define KEEPALIVE_IDLE_S 60

static int
listen_unix(int *fd, const char *path, char **unix_path, struct err **err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(err, ERR_INVALID, "socket path %s is too long", path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0 || bind(*fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(*fd, BACKLOG) != 0)
		return err_set_errno(err, errno, "listen on unix:%s", path);
	*unix_path = xstrdup(path);
	return 0;
}

/* Accepted sockets inherit the options. */
static void
tcp_options(int fd)
{
	int one = 1, idle = KEEPALIVE_IDLE_S;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int
listen_tcp(int *fd, const char *where, int *port, struct err **err)
{
	const char *colon = strrchr(where, ':');
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *found = NULL;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} bound = { .v6 = { 0 } };
	socklen_t len = sizeof(bound);
	int rc;

	if (colon == NULL || colon[1] == '\0')
		return err_set(
		    err, ERR_INVALID, "\"%s\" is no address to listen on; write host:port", where);
	if (strlen(colon + 1) > 5 || strtol(colon + 1, NULL, 10) > 65535)
		return err_set(err, ERR_INVALID, "\"%s\": there is no such port", where);
	bool bracket = where[0] == '[' && colon[-1] == ']';
	auto_free char *host =
	    xstrndup(where + bracket, (size_t)(colon - where) - (bracket ? 2 : 0));
	rc = getaddrinfo(*host != '\0' ? host : NULL, colon + 1, &hints, &found);
	if (rc != 0)
		return err_set(err, ERR_INVALID, "listen on %s: %s", where, gai_strerror(rc));
	*fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd >= 0)
		tcp_options(*fd);
	if (*fd < 0 || bind(*fd, found->ai_addr, found->ai_addrlen) != 0 ||
	    listen(*fd, BACKLOG) != 0)
		rc = err_set_errno(err, errno, "listen on %s", where);
	freeaddrinfo(found);
	if (rc != 0 || getsockname(*fd, &bound.any, &len) != 0)
		return rc;
	*port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
	return 0;
}

int
http_listen(int *fd, const char *where, int *port, char **unix_path, struct err **err)
{
	return strncmp(where, "unix:", 5) == 0 ? listen_unix(fd, where + 5, unix_path, err)
	                                       : listen_tcp(fd, where, port, err);
}
