#include "common/rpc_int.h"

#include "common/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#define TLS_PEM_MAX (256u << 10)

bool
rpc_url_is_tls(const char *url)
{
	return strncmp(url, "tls+tcp", 7) == 0;
}

bool
rpc_url_is_ipc(const char *url)
{
	return strncmp(url, "ipc:", 4) == 0;
}

static int
read_pem(struct buf *out, const char *what, const char *path, struct err **err)
{
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return err_set_errno(err, errno, "tls: open %s %s", what, path);
	size_t n = fread(buf_reserve(out, TLS_PEM_MAX), 1, TLS_PEM_MAX, f);
	bool bad = ferror(f) != 0 || n == TLS_PEM_MAX;
	fclose(f);
	if (bad)
		return err_set(err, ERR_INVALID, "tls: %s %s is unreadable or larger than %u bytes",
		    what, path, TLS_PEM_MAX);
	out->len = n;
	out->data[n] = '\0';
	return 0;
}

static int
set_own(nng_tls_config *cfg, const struct rpc_tls *tls, struct err **err)
{
	auto_buf cert = BUF_INIT;
	auto_buf key = BUF_INIT;
	int rc;
	if ((rc = read_pem(&cert, "cert_file", tls->cert_file, err)) != 0 ||
	    (rc = read_pem(&key, "key_file", tls->key_file, err)) != 0)
		return rc;
	int rv = nng_tls_config_own_cert(cfg, buf_str(&cert), buf_str(&key), NULL);
	explicit_bzero(key.data, key.cap);
	if (rv != 0)
		return err_set(err, ERR_INVALID, "tls: certificate %s with key %s: %s",
		    tls->cert_file, tls->key_file, nng_strerror(rv));
	return 0;
}

static int
set_ca(nng_tls_config *cfg, const struct rpc_tls *tls, struct err **err)
{
	auto_buf ca = BUF_INIT;
	int rc = read_pem(&ca, "ca_file", tls->ca_file, err);
	if (rc != 0)
		return rc;
	int rv = nng_tls_config_ca_chain(cfg, buf_str(&ca), NULL);
	if (rv != 0)
		return err_set(
		    err, ERR_INVALID, "tls: ca_file %s: %s", tls->ca_file, nng_strerror(rv));
	return 0;
}

/* Who must show a certificate: the server always; the client when the server has a ca_file. */
static int
fill(nng_tls_config *cfg, const struct rpc_tls *tls, bool server, struct err **err)
{
	int rc = 0;
	bool own = tls->cert_file != NULL && tls->key_file != NULL;
	if (server && !own)
		return err_set(err, ERR_INVALID, "tls: a server needs cert_file and key_file");
	if (!server && (tls->ca_file == NULL || tls->server_name == NULL))
		return err_set(err, ERR_INVALID,
		    "tls: a client needs ca_file, the certificate that signed the server's, and "
		    "the server's name");
	if (own && (rc = set_own(cfg, tls, err)) != 0)
		return rc;
	if (tls->ca_file != NULL && (rc = set_ca(cfg, tls, err)) != 0)
		return rc;
	nng_tls_auth_mode mode =
	    tls->ca_file != NULL ? NNG_TLS_AUTH_MODE_REQUIRED : NNG_TLS_AUTH_MODE_NONE;
	int rv = nng_tls_config_auth_mode(cfg, mode);
	if (rv == 0 && !server)
		rv = nng_tls_config_server_name(cfg, tls->server_name);
	if (rv != 0)
		return err_set(err, ERR_INVALID, "tls: %s", nng_strerror(rv));
	return 0;
}

int
rpc_tls_config(
    struct nng_tls_config **out, const struct rpc_tls *tls, bool server, struct err **err)
{
	nng_tls_config *cfg = NULL;
	int rv = nng_tls_config_alloc(&cfg, server ? NNG_TLS_MODE_SERVER : NNG_TLS_MODE_CLIENT);
	if (rv != 0)
		return err_set(err, ERR_INTERNAL, "tls: %s", nng_strerror(rv));
	int rc = fill(cfg, tls, server, err);
	if (rc != 0) {
		nng_tls_config_free(cfg);
		return rc;
	}
	*out = cfg;
	return 0;
}
