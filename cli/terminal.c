/* What is typed: a password without echo, a line. */
#include "cli/cli.h"

#include "common/mem.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static volatile sig_atomic_t hidden;

/* A terminal that is left must show again what is typed. */
static void
on_signal(int signum)
{
	if (hidden)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
	signal(signum, SIG_DFL);
	raise(signum);
}

static void
hide(bool on)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct termios quiet;

	if (!on && hidden) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		hidden = 0;
		fputc('\n', stderr);
	} else if (on && tcgetattr(STDIN_FILENO, &before) == 0) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		hidden = 1;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		signal(signals[i], on ? on_signal : SIG_DFL);
}

/* One line of standard input without its end, byte by byte: what follows is left to others. */
static int
line_read(char **out, const char *what, struct err **err)
{
	char line[CLI_ANSWER_MAX + 1];
	size_t n = 0;

	for (;;) {
		ssize_t got = read(STDIN_FILENO, line + n, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set_errno(err, errno, "read %s from standard input", what);
		if (got == 0 || line[n] == '\n')
			break;
		if (++n > CLI_ANSWER_MAX)
			return err_set(
			    err, ERR_INVALID, "%s is longer than %d bytes", what, CLI_ANSWER_MAX);
	}
	while (n && line[n - 1] == '\r')
		n--;
	line[n] = '\0';
	int rc = strlen(line) == n && n > 0
	             ? 0
	             : err_set(err, ERR_INVALID, "%s is empty, or holds a NUL", what);
	if (!rc)
		*out = xstrdup(line);
	explicit_bzero(line, sizeof(line));
	return rc;
}

int
cli_password_read(char **out, const char *prompt, struct err **err)
{
	bool terminal = isatty(STDIN_FILENO);

	if (terminal) {
		fputs(prompt, stderr);
		hide(true);
	}
	int rc = line_read(out, "the password", err);
	if (terminal)
		hide(false);
	return rc;
}

int
cli_line_read(char **out, const char *prompt, const char *what, struct err **err)
{
	if (isatty(STDIN_FILENO))
		fputs(prompt, stderr);
	return line_read(out, what, err);
}
