/*
 * submit - one request of the gateway's API, measured from its sending: no process is started and
 * no connection made in that time, as with the bare engine.
 *
 *   submit PORT TOKEN PATH < body    POSTs it; prints the ns since 1970 at which it was sent
 */
#include "common/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX 65536

static void
die(const char *what)
{
	fprintf(stderr, "submit: %s\n", what);
	exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static int
dial(const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		die("connect");
	return fd;
}

int
main(int argc, char **argv)
{
	static char body[BODY_MAX], answer[BODY_MAX];
	struct timespec t;

	if (argc != 4)
		die("usage: submit PORT TOKEN PATH < body");
	size_t n = fread(body, 1, sizeof(body) - 1, stdin);
	auto_free char *text =
	    xasprintf("POST %s HTTP/1.1\r\nHost: gateway\r\n"
	              "Authorization: token %s\r\nContent-Type: application/json\r\n"
	              "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
	        argv[3], argv[2], n, body);
	int fd = dial(argv[1]);
	clock_gettime(CLOCK_REALTIME, &t);
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text) ||
	    recv(fd, answer, sizeof(answer) - 1, 0) <= 0)
		die("no answer");
	close(fd);
	if (strncmp(answer, "HTTP/1.1 2", 10) != 0)
		die(answer);
	printf("%lld%09ld\n", (long long)t.tv_sec, t.tv_nsec);
	return 0;
}
