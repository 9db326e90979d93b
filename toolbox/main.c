/*
 * main.c - process 1 of every container: `init` in a task's main container, `service` in the
 * others.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "proto/frame.h"
#include "toolbox/init.h"
#include "toolbox/paths.h"

/* The stream under numbers of its own, so that nothing started by us can inherit it. */
static int
own(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 10);
}

static int
with_stream(int (*run)(const struct tb_opts *o))
{
	static char cwd[4096];
	struct tb_opts o = { .in = own(STDIN_FILENO),
		.out = own(STDOUT_FILENO),
		.run_dir = TB_RUN_DIR,
		.passwd_file = "/etc/passwd",
		.group_file = "/etc/group",
		.cwd = cwd,
		.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC) };

	if (o.in < 0 || o.out < 0 || o.null_fd < 0) {
		fputs("millrace-toolbox: needs stdin, stdout and /dev/null\n", stderr);
		return 2;
	}
	if (getcwd(cwd, sizeof(cwd)) == NULL || chdir("/") != 0)
		strcpy(cwd, "/");
	dup2(o.null_fd, STDIN_FILENO);
	dup2(o.null_fd, STDOUT_FILENO);
	return run(&o);
}

static int
version(const struct tb_opts *o)
{
	(void)o;
	printf("millrace-toolbox, protocol %d\n", FRAME_VERSION);
	return 0;
}

static const struct {
	const char *name;
	bool stream;
	int (*run)(const struct tb_opts *o);
} verbs[] = {
	{ "init", true, tb_init_run },
	{ "service", true, tb_service_run },
	{ "--version", false, version },
};

int
main(int argc, char **argv)
{
	/* Before a byte is read: a step that is root must not open our stdin or read our memory. */
	prctl(PR_SET_DUMPABLE, 0);
	for (size_t i = 0; argc == 2 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].stream ? with_stream(verbs[i].run) : verbs[i].run(NULL);
	fputs("usage: millrace-toolbox init|service|--version\n", stderr);
	return 2;
}
