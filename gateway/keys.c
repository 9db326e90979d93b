#include "gateway/keys.h"

#include "common/id.h"
#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Creates the file with a random key unless it is there. */
static int
make_key_file(const char *path, struct err **err)
{
	char text[2 * CRYPTO_KEY_LEN + 1];
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n;

	if (fd < 0)
		return errno == EEXIST ? 0 : err_set_errno(err, errno, "create %s", path);
	id_random_hex(text, CRYPTO_KEY_LEN);
	n = write(fd, text, sizeof(text) - 1);
	explicit_bzero(text, sizeof(text));
	if (n != (ssize_t)sizeof(text) - 1 || fsync(fd) < 0) {
		int why = n < 0 || errno ? errno : ENOSPC;

		unlink(path);
		return err_set_errno(err, why, "write %s", path);
	}
	return 0;
}

static int
read_key(uint8_t key[CRYPTO_KEY_LEN], const char *name, const char *configured,
    const char *data_dir, struct err **err)
{
	auto_free char *own = NULL;

	if (configured && *configured) {
		if (crypto_read_key_file(key, configured, err) < 0)
			return err_wrap(err, "%s_file", name);
		return 0;
	}
	own = xasprintf("%s/%s", data_dir, name);
	if (make_key_file(own, err) < 0 || crypto_read_key_file(key, own, err) < 0)
		return err_wrap(err, "%s", name);
	return 0;
}

static void
derive(uint8_t out[CRYPTO_KEY_LEN], const uint8_t key[CRYPTO_KEY_LEN], const char *use)
{
	crypto_hmac_sha256(out, key, CRYPTO_KEY_LEN, use, strlen(use));
}

int
gw_keys_load(struct gw_keys *out, const struct gw_config *cfg, struct err **err)
{
	uint8_t key[CRYPTO_KEY_LEN];
	int rc = read_key(key, "cookie_key", cfg->cookie_key_file, cfg->data_dir, err);

	if (rc == 0) {
		derive(out->session, key, "millrace session");
		derive(out->csrf, key, "millrace csrf");
		derive(out->state, key, "millrace login state");
		rc = read_key(key, "secret_key", cfg->secret_key_file, cfg->data_dir, err);
	}
	if (rc == 0) {
		derive(out->seal, key, "millrace gateway seal");
		derive(out->run, key, "millrace run token");
	}
	explicit_bzero(key, sizeof(key));
	return rc;
}

void
gw_keys_wipe(struct gw_keys *keys)
{
	explicit_bzero(keys, sizeof(*keys));
}

void
gw_sealed_fini(struct gw_sealed *s)
{
	free(s->p);
	*s = (struct gw_sealed){ 0 };
}

struct gw_sealed
gw_seal(const struct gw_keys *keys, const char *text, const char *place)
{
	struct gw_sealed s = { 0 };

	if (!text || !*text)
		return s;
	s.n = strlen(text) + CRYPTO_SEAL_OVERHEAD;
	s.p = xmalloc(s.n);
	crypto_seal(s.p, text, strlen(text), place, strlen(place), keys->seal);
	return s;
}

int
gw_unseal(char **out, const struct gw_keys *keys, const struct gw_sealed *s, const char *place,
    struct err **err)
{
	auto_free char *text = NULL;
	auto_err why = NULL;

	if (!s->p) {
		*out = xstrdup("");
		return 0;
	}
	if (s->n < CRYPTO_SEAL_OVERHEAD)
		return err_set(err, ERR_INTERNAL, "%s: too short to be sealed", place);
	text = xcalloc(1, s->n - CRYPTO_SEAL_OVERHEAD + 1);
	if (crypto_open((uint8_t *)text, s->p, s->n, place, strlen(place), keys->seal, &why) < 0)
		return err_set(err, ERR_INTERNAL,
		    "%s: does not open; was secret_key_file changed? (%s)", place, err_msg(why));
	*out = steal(&text);
	return 0;
}
