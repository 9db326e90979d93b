/* The script of a clone step. */
#include "rundef_int.h"

#include "common/mem.h"

/*
 * Tracing is on, so that the log shows what happens, but off around everything that handles the
 * key: "set -x" would print it. The trace of the redirection target alone is harmless. Without a
 * key the clone goes over http(s) and needs neither an ssh client nor a home directory.
 */
static const char ssh_part[] = "if [ -n \"${AGOLA_SSHPRIVKEY:-}\" ]; then\n"
                               "\tumask 077\n"
                               "\tmkdir -p ~/.ssh\n"
                               "\tchmod 700 ~/.ssh\n"
                               "\t: >> ~/.ssh/known_hosts\n"
                               "\tif [ -n \"${AGOLA_SSHHOSTKEY:-}\" ]; then\n"
                               "\t\tprintf '%s\\n' \"$AGOLA_SSHHOSTKEY\" >> ~/.ssh/known_hosts\n"
                               "\tfi\n"
                               "\trm -f ~/.ssh/id_rsa\n"
                               "\tprintf '%s\\n' \"$AGOLA_SSHPRIVKEY\" > ~/.ssh/id_rsa\n"
                               "\tchmod 600 ~/.ssh/id_rsa ~/.ssh/known_hosts\n"
                               "\tstrict=yes\n"
                               "\tif [ -n \"${AGOLA_SKIPSSHHOSTKEYCHECK:-}\" ]; then\n"
                               "\t\tstrict=no\n"
                               "\tfi\n"
                               "\tcat > ~/.ssh/config << EOF\n"
                               "Host $AGOLA_GIT_HOST\n"
                               "\tHostName $AGOLA_GIT_HOST\n"
                               "\tPort ${AGOLA_GIT_PORT:-22}\n"
                               "\tStrictHostKeyChecking $strict\n"
                               "\tPasswordAuthentication no\n"
                               "\tIgnoreUnknown PubkeyAcceptedAlgorithms,PubkeyAcceptedKeyTypes\n"
                               "\tPubkeyAcceptedAlgorithms +ssh-rsa\n"
                               "\tPubkeyAcceptedKeyTypes +ssh-rsa\n"
                               "EOF\n"
                               "\tchmod 600 ~/.ssh/config\n"
                               "\tumask 022\n"
                               "fi\n";

char *
rundef_clone_script(const struct rundef_step *step)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "set -e\nset +x\n");
	buf_puts(&b, ssh_part);
	/* Never wait for a user name or a password: there is nobody to type one. */
	buf_puts(&b, "export GIT_TERMINAL_PROMPT=0\nset -x\ngit clone");
	if (step->depth > 0)
		buf_printf(&b, " --depth %lld", (long long)step->depth);
	if (step->recurse_submodules)
		buf_puts(&b, " --recurse-submodules");
	buf_puts(&b, " -- \"$AGOLA_REPOSITORY_URL\" .\n");
	buf_puts(&b, "git fetch origin");
	if (step->depth > 0)
		buf_printf(&b, " --depth %lld", (long long)step->depth);
	buf_puts(&b, " \"$AGOLA_GIT_REF\"\n"
	             "if [ -n \"${AGOLA_GIT_COMMITSHA:-}\" ]; then\n"
	             "\tgit -c advice.detachedHead=false checkout \"$AGOLA_GIT_COMMITSHA\"\n"
	             "else\n"
	             "\tgit -c advice.detachedHead=false checkout FETCH_HEAD\n"
	             "fi\n");
	if (step->recurse_submodules)
		buf_puts(&b, "git submodule update --init --recursive\n");
	return buf_take(&b);
}
