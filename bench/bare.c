/*
 * bare - the container engine without us, over its unix socket with one connection that is kept.
 *
 *   bare first SOCKET IMAGE N   N times: create and start a container, exec `date +%s%N` in it; ms
 * from the create's sending to the time that the command printed bare exec SOCKET IMAGE N    one
 * container; ms of each of N execs of `true`, to the end of its stream
 *
 * Prints one figure per line. Containers are removed outside of what is measured.
 */
#include "common/clock.h"
#include "common/json.h"
#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (256u << 10)
#define TIME_DIGITS 19 /* of ns since 1970 */

static const char *path_of_socket;
static int kept = -1;
static char answer[ANSWER_MAX];
static size_t have;

static void
die(const char *what)
{
	fprintf(stderr, "bare: %s: %.300s\n", what, answer);
	exit(1); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static int
dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path_of_socket);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		die("connect");
	return fd;
}

/* Reads until the answer is complete, or with `all` until the connection ends. */
static const char *
receive(int fd, bool all)
{
	char *body = NULL;

	have = 0;
	for (;;) {
		ssize_t k = recv(fd, answer + have, ANSWER_MAX - 1 - have, 0);

		if (k <= 0)
			break;
		have += (size_t)k;
		answer[have] = '\0';
		body = strstr(answer, "\r\n\r\n");
		if (body == NULL || all)
			continue;
		const char *length = strcasestr(answer, "\r\nContent-Length:");
		bool chunked = strcasestr(answer, "\r\nTransfer-Encoding: chunked") != NULL;
		size_t want = length != NULL ? strtoul(length + 17, NULL, 10) : 0;

		if (chunked ? strstr(body, "\r\n0\r\n\r\n") != NULL
		            : have >= (size_t)(body + 4 - answer) + want)
			break;
	}
	if (body == NULL)
		die("no answer");
	return body + 4;
}

static const char *
call(int fd, const char *method, const char *path, const char *json, bool all)
{
	auto_free char *text =
	    xasprintf("%s /v1.41%s HTTP/1.1\r\nHost: engine\r\n"
	              "Content-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n%s",
	        method, path, strlen(json), all ? "Connection: close\r\n" : "", json);

	if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		die("send");
	const char *body = receive(fd, all);
	if (strncmp(answer, "HTTP/1.1 2", 10) != 0)
		die(path);
	return body;
}

static char *
id_of(const char *body)
{
	const char *at = strstr(body, "\"Id\":\"");

	if (at == NULL)
		die("no Id");
	return xstrndup(at + 6, 64);
}

static char *
container_new(const char *image)
{
	auto_free char *json = xasprintf("{\"Image\":\"%s\",\"Entrypoint\":[\"sleep\",\"600\"],"
	                                 "\"Labels\":{\"millrace\":\"bench\"}}",
	    image);
	char *id = id_of(call(kept, "POST", "/containers/create", json, false));
	auto_free char *start = xasprintf("/containers/%s/start", id);

	(void)call(kept, "POST", start, "", false);
	return id;
}

static void
container_remove(const char *id)
{
	auto_free char *path = xasprintf("/containers/%s?force=1&v=1", id);

	(void)call(kept, "DELETE", path, "", false);
}

/* What the command wrote, behind the stream's header. */
static const char *
exec(const char *container, const char *command)
{
	auto_free char *json = xasprintf("{\"AttachStdout\":true,\"Cmd\":%s}", command);
	auto_free char *path = xasprintf("/containers/%s/exec", container);
	auto_free char *id = id_of(call(kept, "POST", path, json, false));
	auto_free char *start = xasprintf("/exec/%s/start", id);
	int fd = dial();
	const char *body = call(fd, "POST", start, "{\"Detach\":false}", true);

	close(fd);
	return body;
}

static double
wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
first(const char *image, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		double from = wall_ms();
		auto_free char *id = container_new(image);
		const char *out = exec(id, "[\"date\",\"+%s%N\"]");

		/* Behind the headers of chunk and stream: the first number of so many digits. */
		while (out < answer + have && strspn(out, "0123456789") < TIME_DIGITS)
			out++;
		printf("%.3f\n", strtod(out, NULL) / 1e6 - from);
		container_remove(id);
	}
}

static void
execs(const char *image, unsigned n)
{
	auto_free char *id = container_new(image);

	for (unsigned i = 0; i < n; i++) {
		int64_t from = clock_mono_us();

		(void)exec(id, "[\"true\"]");
		printf("%.3f\n", (double)(clock_mono_us() - from) / 1e3);
	}
	container_remove(id);
}

int
main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: bare first|exec SOCKET IMAGE N\n");
		return 2;
	}
	path_of_socket = argv[2];
	kept = dial();
	if (strcmp(argv[1], "first") == 0)
		first(argv[3], (unsigned)strtoul(argv[4], NULL, 10));
	else
		execs(argv[3], (unsigned)strtoul(argv[4], NULL, 10));
	close(kept);
	return 0;
}
