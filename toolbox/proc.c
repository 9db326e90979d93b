#include "toolbox/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_ALL_MS 5000
#define SESSION_PASSES 20 /* a session that forks faster than we kill ends with the task */

struct stat_line {
	char state;
	int ppid, pgrp, sid;
};

static bool
read_stat(const char *pid, struct stat_line *s)
{
	char path[64], b[512];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, b, sizeof(b) - 1);
	close(fd);
	if (n <= 0)
		return false;
	b[n] = '\0';
	/* The name may hold anything; the last ')' ends it. */
	const char *p = strrchr(b, ')');
	if (p == NULL)
		return false;
	/* NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers that fit */
	return sscanf(p + 1, " %c %d %d %d", &s->state, &s->ppid, &s->pgrp, &s->sid) == 4;
}

/* Counts, and kills when sig is not 0, live processes of session sid or children of parent. */
static int
scan(pid_t sid, pid_t parent, pid_t except, int sig)
{
	DIR *d = opendir("/proc");
	struct dirent *de;
	struct stat_line s;
	int n = 0;

	if (d == NULL)
		return -1;
	while ((de = readdir(d)) != NULL) {
		pid_t pid = (pid_t)strtol(de->d_name, NULL, 10);
		if (pid <= 0 || pid == getpid() || pid == except || !read_stat(de->d_name, &s))
			continue;
		if (s.state == 'Z' || s.state == 'X')
			continue;
		if ((sid > 0 && s.sid == sid) || (parent > 0 && s.ppid == parent)) {
			n++;
			if (sig != 0)
				kill(pid, sig);
		}
	}
	closedir(d);
	return n;
}

void
tb_proc_kill_session(pid_t sid)
{
	for (int i = 0; i < SESSION_PASSES; i++)
		if (scan(sid, 0, 0, SIGKILL) <= 0)
			return;
}

int
tb_proc_session_others(pid_t sid)
{
	return scan(sid, 0, sid, 0);
}

void
tb_proc_kill_all(void)
{
	int64_t end = tb_now_ms() + KILL_ALL_MS;

	do {
		pid_t p;
		if (getpid() == 1)
			kill(-1, SIGKILL);
		else /* orphans become our children one generation after the other */
			scan(0, getpid(), 0, SIGKILL);
		while ((p = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (p < 0 && errno == ECHILD)
			return;
		poll(NULL, 0, 2);
	} while (tb_now_ms() < end);
}
