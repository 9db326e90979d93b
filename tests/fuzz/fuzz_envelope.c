/*
 * RPC envelopes: any bytes as a request and as a reply, and good ones with some bytes changed: what
 * verifies is what was packed.
 * covers: common/rpc_envelope.c
 */
#include "fuzz.h"

#include "common/buf.h"
#include "common/crypto.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/rpc_int.h"

static const uint8_t key_of_all[CRYPTO_KEY_LEN] = { 1, 2, 3 };
static const uint8_t nonce[RPC_NONCE_LEN] = { 9, 8, 7 };

static int
peer_key(uint8_t *key, const char *peer, void *arg, struct err **err)
{
	(void)arg;
	if (strcmp(peer, "nobody") == 0)
		return err_set(err, ERR_DENIED, "unknown");
	memcpy(key, key_of_all, CRYPTO_KEY_LEN);
	return 0;
}

static void
request(const uint8_t *p, size_t n)
{
	struct rpc_request r;
	auto_err err = NULL;

	if (rpc_request_parse(&r, p, n, peer_key, NULL, &err) != 0) {
		FUZZ_MUST(err != NULL);
		return;
	}
	FUZZ_MUST(rpc_name_ok(r.peer, RPC_PEER_MAX) && rpc_name_ok(r.method, RPC_METHOD_MAX));
	FUZZ_MUST(memcmp(rpc_request_key(&r), key_of_all, CRYPTO_KEY_LEN) == 0);
	rpc_request_fini(&r);
}

static void
reply(const uint8_t *p, size_t n)
{
	uint8_t *body = NULL;
	size_t len = 0;
	auto_err err = NULL;
	int rc = rpc_reply_parse(&body, &len, p, n, nonce, key_of_all, &err);

	FUZZ_MUST((rc == 0) == (err == NULL));
	free(body);
}

/* The first bytes say where to change a packed message; the rest is its body. */
static void
changed(const uint8_t *p, size_t n, bool is_request)
{
	auto_buf b = BUF_INIT;
	auto_err e = NULL;
	size_t at;
	uint8_t flip;

	if (n < 3)
		return;
	if (is_request)
		rpc_request_pack(&b, n % 5 == 0 ? "nobody" : "peer", "a.method", nonce, 1000, p + 3,
		    n - 3, key_of_all);
	else if (p[2] % 2 == 0)
		rpc_reply_pack(&b, NULL, p + 3, n - 3, nonce, key_of_all);
	else {
		err_set(&e, ERR_CONFLICT, "%.*s", (int)(n - 3 > 100 ? 100 : n - 3),
		    (const char *)p + 3);
		rpc_reply_pack(&b, e, NULL, 0, nonce, p[2] % 3 == 0 ? NULL : key_of_all);
	}
	at = (p[0] | (size_t)p[1] << 8) % b.len;
	flip = p[2];
	b.data[at] = (char)((uint8_t)b.data[at] ^ flip);
	if (is_request)
		request((const uint8_t *)b.data, b.len);
	else
		reply((const uint8_t *)b.data, b.len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n == 0)
		return 0;
	switch (p[0] % 4) {
	case 0:
		request(p + 1, n - 1);
		break;
	case 1:
		reply(p + 1, n - 1);
		break;
	default:
		changed(p + 1, n - 1, p[0] % 4 == 2);
		break;
	}
	return 0;
}
