#include "tests/lib/cli_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- the proxy --- */

static int
socket_at(int port, bool listens)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	if (listens) {
		assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
		assert_int_equal(listen(fd, 64), 0);
	} else {
		assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	}
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

void
clp_proxy_start(struct clp_proxy *x, unsigned seed, size_t least, size_t most)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	*x = (struct clp_proxy){ .seed = seed, .least = least, .most = most };
	for (size_t i = 0; i < CLP_PROXIED_MAX; i++)
		x->pairs[i].client = x->pairs[i].server = -1;
	x->listener = socket_at(0, true);
	assert_int_equal(getsockname(x->listener, (struct sockaddr *)&sin, &len), 0);
	x->port = ntohs(sin.sin_port);
}

static void
pair_close(struct clp_pair *p)
{
	close(p->client);
	close(p->server);
	p->client = p->server = -1;
}

static void
proxy_accept(struct clp_proxy *x, int port)
{
	for (size_t i = 0; i < CLP_PROXIED_MAX; i++) {
		struct clp_pair *p = &x->pairs[i];

		if (p->client >= 0)
			continue;
		p->client = accept4(x->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (p->client < 0)
			return;
		p->server = socket_at(port, false);
		p->left = x->least + (size_t)rand_r(&x->seed) % (x->most - x->least + 1);
	}
}

/* At most max bytes; how many, 0 at the end, -1 when there are none now. Loopback takes what fits
 * into its buffers, which are larger than what is moved at once. */
static ssize_t
pump(int from, int to, size_t max)
{
	char chunk[8192];
	ssize_t n = recv(from, chunk, max < sizeof(chunk) ? max : sizeof(chunk), 0);

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? -1 : 0;
	for (ssize_t done = 0; done < n;) {
		ssize_t k = send(to, chunk + done, (size_t)(n - done), MSG_NOSIGNAL);
		if (k < 0 && errno != EAGAIN)
			return 0;
		done += k > 0 ? k : 0;
	}
	return n;
}

void
clp_proxy_turn(struct clp_proxy *x, int port)
{
	proxy_accept(x, port);
	for (size_t i = 0; i < CLP_PROXIED_MAX; i++) {
		struct clp_pair *p = &x->pairs[i];
		ssize_t n;

		if (p->client < 0)
			continue;
		if (pump(p->client, p->server, SIZE_MAX) == 0) {
			pair_close(p);
			continue;
		}
		/* Without a last word, as a proxy that is restarted. */
		n = pump(p->server, p->client, p->left);
		if (n > 0)
			p->left -= (size_t)n;
		x->cuts += p->left == 0;
		if (n == 0 || p->left == 0)
			pair_close(p);
	}
}

void
clp_proxy_stop(struct clp_proxy *x)
{
	for (size_t i = 0; i < CLP_PROXIED_MAX; i++)
		if (x->pairs[i].client >= 0)
			pair_close(&x->pairs[i]);
	close(x->listener);
}

/* --- the program --- */

char *
clp_program(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	assert_true(n > 0);
	path[n] = '\0';
	for (int i = 0; i < 2; i++)
		*strrchr(path, '/') = '\0';
	return xasprintf("%s/bin/millrace", path);
}

static void
set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

static void
environment(const struct clp *x)
{
	auto_free char *config = xasprintf("%s/profiles.json", x->gw->dir);
	auto_free char *url = xasprintf("http://127.0.0.1:%d", x->port ? x->port : x->gw->port);

	set("MILLRACE_URL", x->port >= 0 ? url : NULL);
	set("MILLRACE_TOKEN", x->token);
	set("MILLRACE_CONFIG", config);
	set("MILLRACE_PROFILE", NULL);
	set("HOME", x->gw->dir);
}

static pid_t
start(
    const struct clp *x, const char *const *args, const char *in, const char *out, const char *err)
{
	auto_free char *built = clp_program();
	const char *program = x->program ? x->program : built;
	char *argv[40];
	size_t n = 0;
	pid_t pid;
	posix_spawn_file_actions_t files;

	argv[n++] = (char *)(uintptr_t)program;
	for (; args[n - 1]; n++) {
		assert_true(n + 1 < ARRAY_LEN(argv));
		argv[n] = (char *)(uintptr_t)args[n - 1];
	}
	argv[n] = NULL;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, in, O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_addopen(&files, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	environment(x);
	int rc = posix_spawn(&pid, program, &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (rc != 0)
		fail_msg("cannot start %s: build it first", program);
	return pid;
}

static void
file_read(struct buf *out, const char *path)
{
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	buf_clear(out);
	for (size_t n = 1; n > 0; out->len += n)
		n = fread(buf_reserve(out, 65536), 1, 65536, f);
	*buf_reserve(out, 1) = '\0';
	fclose(f);
}

int
clp_run(struct clp *x, const char *const *args)
{
	auto_free char *in = xasprintf("%s/cli-in", x->gw->dir);
	auto_free char *out = xasprintf("%s/cli-out", x->gw->dir);
	auto_free char *err = xasprintf("%s/cli-err", x->gw->dir);
	int64_t deadline = clock_mono_ms() + CLP_WAIT_MS;
	FILE *f = fopen(in, "we");
	int status;

	assert_non_null(f);
	assert_true(fputs(x->input ? x->input : "", f) >= 0);
	assert_int_equal(fclose(f), 0);
	pid_t pid = start(x, args, in, out, err);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_mono_ms() > deadline) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			file_read(&x->err, err);
			fail_msg("millrace %s goes on and on: %s", args[0], buf_str(&x->err));
		}
		if (x->turn)
			x->turn(x->arg);
		loop_run_once(x->gw->loop, 2);
	}
	file_read(&x->out, out);
	file_read(&x->err, err);
	if (!WIFEXITED(status))
		fail_msg("millrace %s: killed by signal %d: %s", args[0], WTERMSIG(status),
		    buf_str(&x->err));
	x->status = WEXITSTATUS(status);
	return x->status;
}

void
clp_expect(const struct clp *x, int status, const char *out, const char *err)
{
	const char *o = buf_str(&x->out), *e = buf_str(&x->err);

	if (x->status != status || (out && !strstr(o, out)) || (err && !strstr(e, err)))
		fail_msg("status %d, not %d; \"%s\" and \"%s\" wanted\nout: %s\nerr: %s", x->status,
		    status, out ? out : "", err ? err : "", o, e);
}

void
clp_fini(struct clp *x)
{
	buf_free(&x->out);
	buf_free(&x->err);
}
