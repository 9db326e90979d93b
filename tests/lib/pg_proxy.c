#include "tests/lib/pg_proxy.h"

#include "common/err.h"
#include "common/mem.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAIRS_MAX 64
#define SOCKET_NAME ".s.PGSQL.5432"

struct pair {
	int client, server; /* -1: unused */
	bool lose;          /* the next thing the server says is the answer to a commit */
};

static void
address(struct sockaddr_un *sun, const char *dir)
{
	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int n = snprintf(sun->sun_path, sizeof(sun->sun_path), "%s/" SOCKET_NAME, dir);
	MUST(n > 0 && (size_t)n < sizeof(sun->sun_path));
}

static void
hang_up(struct pair *p)
{
	close(p->client);
	close(p->server);
	*p = (struct pair){ -1, -1, false };
}

static void
welcome(struct pair *pairs, int listener, const char *server_dir)
{
	struct sockaddr_un sun;
	int client = accept(listener, NULL, NULL);
	int server = socket(AF_UNIX, SOCK_STREAM, 0);
	address(&sun, server_dir);
	for (size_t i = 0; i < PAIRS_MAX && client >= 0; i++) {
		if (pairs[i].client >= 0)
			continue;
		if (connect(server, (struct sockaddr *)&sun, sizeof(sun)) != 0)
			break;
		pairs[i] = (struct pair){ client, server, false };
		return;
	}
	close(client);
	close(server);
}

static bool
write_all(int fd, const char *b, size_t n)
{
	while (n > 0) {
		ssize_t w = send(fd, b, n, MSG_NOSIGNAL);
		if (w <= 0)
			return false;
		b += w;
		n -= (size_t)w;
	}
	return true;
}

/* Somewhere in what a transaction says at once: Bind of the prepared statement, without a portal's
 * name, formats and parameters. */
static bool
has_commit(const char *b, size_t n)
{
	static const char commit[] = { '\0', 'c', 'o', 'm', 'm', 'i', 't', '\0', 0, 0, 0, 0 };
	return memmem(b, n, commit, sizeof(commit)) != NULL;
}

static void
carry(struct pair *p, bool from_client, volatile unsigned *every, volatile unsigned *lost)
{
	static unsigned commits;
	char b[65536];
	ssize_t n = recv(from_client ? p->client : p->server, b, sizeof(b), 0);
	if (n > 0 && !from_client && p->lose) {
		(*lost)++;
		n = 0;
	}
	if (n > 0 && from_client && *every > 0 && has_commit(b, (size_t)n))
		p->lose = ++commits % *every == 0;
	if (n <= 0 || !write_all(from_client ? p->server : p->client, b, (size_t)n))
		hang_up(p);
}

static void
serve(int listener, const char *server_dir, volatile unsigned *every, volatile unsigned *lost)
{
	struct pair pairs[PAIRS_MAX];
	struct pollfd fds[1 + 2 * PAIRS_MAX];
	for (size_t i = 0; i < PAIRS_MAX; i++)
		pairs[i] = (struct pair){ -1, -1, false };
	for (;;) {
		fds[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
		for (size_t i = 0; i < PAIRS_MAX; i++) {
			fds[1 + 2 * i] = (struct pollfd){ .fd = pairs[i].client, .events = POLLIN };
			fds[2 + 2 * i] = (struct pollfd){ .fd = pairs[i].server, .events = POLLIN };
		}
		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			_exit(1);
		for (size_t i = 0; i < PAIRS_MAX; i++) {
			if (pairs[i].client >= 0 && fds[1 + 2 * i].revents != 0)
				carry(&pairs[i], true, every, lost);
			else if (pairs[i].client >= 0 && fds[2 + 2 * i].revents != 0)
				carry(&pairs[i], false, every, lost);
		}
		if (fds[0].revents != 0)
			welcome(pairs, listener, server_dir);
	}
}

void
pg_proxy_start(struct pg_proxy *x, const char *server_dir)
{
	struct sockaddr_un sun;
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	volatile unsigned *shared =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(listener >= 0 && shared != MAP_FAILED);
	strcpy(x->dir, "/tmp/millrace-proxy.XXXXXX");
	MUST(mkdtemp(x->dir) != NULL);
	address(&sun, x->dir);
	MUST(bind(listener, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	MUST(listen(listener, PAIRS_MAX) == 0);
	x->every = &shared[0];
	x->lost = &shared[1];
	x->pid = fork();
	MUST(x->pid >= 0);
	if (x->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(listener, server_dir, x->every, x->lost);
	}
	close(listener);
}

void
pg_proxy_stop(struct pg_proxy *x)
{
	struct sockaddr_un sun;
	if (x->pid <= 0)
		return;
	kill(x->pid, SIGKILL);
	waitpid(x->pid, NULL, 0);
	address(&sun, x->dir);
	unlink(sun.sun_path);
	rmdir(x->dir);
	munmap((void *)(uintptr_t)x->every, 4096);
	*x = (struct pg_proxy){ 0 };
}
