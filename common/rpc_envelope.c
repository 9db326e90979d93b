#include "common/rpc_int.h"

#include "common/id.h"
#include "common/mem.h"

#include <string.h>

#include "envelope.pb-c.h"

struct request_owner {
	Millrace__Request *msg;
	uint8_t key[CRYPTO_KEY_LEN];
};

bool
rpc_name_ok(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);
	if (n == 0 || n > max)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = s[i];
		bool alnum =
		    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && (c == '\0' || strchr("._:-", c) == NULL))
			return false;
	}
	return true;
}

static void
mac_be(uint8_t out[8], uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		out[i] = (uint8_t)v;
}

static void
mac_bytes(struct buf *b, const void *p, size_t n)
{
	uint8_t len[8];
	mac_be(len, n);
	buf_append(b, len, sizeof(len));
	buf_append(b, p, n);
}

static void
mac_int(struct buf *b, int64_t v, size_t width)
{
	uint8_t be[8];
	mac_be(be, (uint64_t)v);
	mac_bytes(b, be + 8 - width, width);
}

static void
mac_text(struct buf *b, const char *s)
{
	mac_bytes(b, s ? s : "", s ? strlen(s) : 0);
}

static void
request_mac(uint8_t mac[CRYPTO_SHA256_LEN], const Millrace__Request *m, const uint8_t *key)
{
	auto_buf b = BUF_INIT;
	buf_reserve(&b, m->body.len + RPC_OVERHEAD_MAX);
	mac_int(&b, m->version, 4);
	mac_text(&b, m->method);
	mac_text(&b, m->peer);
	mac_bytes(&b, m->nonce.data, m->nonce.len);
	mac_int(&b, m->timeout_ms, 8);
	mac_bytes(&b, m->body.data, m->body.len);
	crypto_hmac_sha256(mac, key, CRYPTO_KEY_LEN, b.data, b.len);
}

static void
reply_mac(uint8_t mac[CRYPTO_SHA256_LEN], const Millrace__Reply *m, const uint8_t *nonce,
    const uint8_t *key)
{
	auto_buf b = BUF_INIT;
	buf_reserve(&b, m->body.len + RPC_OVERHEAD_MAX);
	mac_bytes(&b, nonce, RPC_NONCE_LEN);
	mac_int(&b, m->version, 4);
	mac_int(&b, m->code, 4);
	mac_text(&b, m->message);
	mac_text(&b, m->slug);
	mac_bytes(&b, m->body.data, m->body.len);
	crypto_hmac_sha256(mac, key, CRYPTO_KEY_LEN, b.data, b.len);
}

/* protobuf-c wants unqualified pointers but does not write through them when packing. */
static void *
unconst(const void *p)
{
	return (void *)(uintptr_t)p;
}

void
rpc_request_pack(struct buf *out, const char *peer, const char *method,
    const uint8_t nonce[RPC_NONCE_LEN], int64_t timeout_ms, const void *body, size_t len,
    const uint8_t key[CRYPTO_KEY_LEN])
{
	uint8_t mac[CRYPTO_SHA256_LEN];
	Millrace__Request m = MILLRACE__REQUEST__INIT;
	m.version = RPC_VERSION;
	m.method = unconst(method);
	m.peer = unconst(peer);
	m.nonce = (ProtobufCBinaryData){ .len = RPC_NONCE_LEN, .data = unconst(nonce) };
	m.timeout_ms = timeout_ms;
	m.body = (ProtobufCBinaryData){ .len = len, .data = unconst(body) };
	request_mac(mac, &m, key);
	m.mac = (ProtobufCBinaryData){ .len = sizeof(mac), .data = mac };
	size_t n = millrace__request__get_packed_size(&m);
	out->len += millrace__request__pack(&m, (uint8_t *)buf_reserve(out, n));
}

static bool
shape_ok(const Millrace__Request *m)
{
	return rpc_name_ok(m->peer, RPC_PEER_MAX) && rpc_name_ok(m->method, RPC_METHOD_MAX) &&
	       m->nonce.len == RPC_NONCE_LEN && m->mac.len == CRYPTO_SHA256_LEN &&
	       m->timeout_ms >= 0;
}

/* Takes the same steps for an unknown peer as for a wrong key, so that ids cannot be probed. */
static int
authenticate(uint8_t key[CRYPTO_KEY_LEN], const Millrace__Request *m,
    int (*peer_key)(uint8_t *, const char *, void *, struct err **), void *arg, struct err **err)
{
	auto_err why = NULL;
	uint8_t mac[CRYPTO_SHA256_LEN];
	int rc = peer_key(key, m->peer, arg, &why);
	if (rc != 0)
		id_random_bytes(key, CRYPTO_KEY_LEN);
	request_mac(mac, m, key);
	bool good = crypto_equal(mac, m->mac.data, sizeof(mac));
	if (rc != 0 && rc != ERR_DENIED && rc != ERR_NOTFOUND)
		return err_set(err, rc, "look up the key of %s: %s", m->peer, err_msg(why));
	if (rc != 0 || !good)
		return err_set(
		    err, ERR_DENIED, "%s is not known here, or its key is another", m->peer);
	return 0;
}

int
rpc_request_parse(struct rpc_request *out, const uint8_t *p, size_t n,
    int (*peer_key)(uint8_t *, const char *, void *, struct err **), void *arg, struct err **err)
{
	*out = (struct rpc_request){ 0 };
	if (n > RPC_MESSAGE_MAX)
		return err_set(err, ERR_INVALID, "request of %zu bytes, at most %u are allowed", n,
		    RPC_MESSAGE_MAX);
	struct request_owner *o = xcalloc(1, sizeof(*o));
	out->owner = o;
	o->msg = millrace__request__unpack(NULL, n, p);
	int rc = 0;
	if (o->msg == NULL)
		rc = err_set(err, ERR_INVALID, "request is not a valid envelope");
	else if (o->msg->version != RPC_VERSION)
		rc = err_set(err, ERR_INVALID,
		    "request of protocol version %u, this daemon speaks %d: run the same release "
		    "everywhere",
		    o->msg->version, RPC_VERSION);
	else if (!shape_ok(o->msg))
		rc = err_set(err, ERR_INVALID, "request envelope has a malformed field");
	else
		rc = authenticate(o->key, o->msg, peer_key, arg, err);
	if (rc != 0) {
		rpc_request_fini(out);
		return rc;
	}
	memcpy(out->peer, o->msg->peer, strlen(o->msg->peer) + 1);
	memcpy(out->method, o->msg->method, strlen(o->msg->method) + 1);
	memcpy(out->nonce, o->msg->nonce.data, RPC_NONCE_LEN);
	out->timeout_ms = o->msg->timeout_ms;
	out->body = o->msg->body.data;
	out->body_len = o->msg->body.len;
	return 0;
}

void
rpc_request_fini(struct rpc_request *r)
{
	struct request_owner *o = r->owner;
	if (o != NULL && o->msg != NULL)
		millrace__request__free_unpacked(o->msg, NULL);
	xfree_secret(o, sizeof(*o));
	*r = (struct rpc_request){ 0 };
}

const uint8_t *
rpc_request_key(const struct rpc_request *r)
{
	const struct request_owner *o = r->owner;
	return o->key;
}

void
rpc_reply_pack(struct buf *out, const struct err *e, const void *body, size_t len,
    const uint8_t *nonce, const uint8_t *key)
{
	MUST(e != NULL || (nonce != NULL && key != NULL));
	uint8_t mac[CRYPTO_SHA256_LEN];
	auto_free char *text = e ? xstrndup(e->msg, RPC_ERROR_MAX) : NULL;
	auto_free char *slug = e && e->slug ? xstrndup(e->slug, RPC_SLUG_MAX) : NULL;
	Millrace__Reply m = MILLRACE__REPLY__INIT;
	m.version = RPC_VERSION;
	m.code = e ? (int32_t)e->code : 0;
	m.message = text;
	m.slug = slug;
	if (e == NULL) {
		m.has_body = 1;
		m.body = (ProtobufCBinaryData){ .len = len, .data = unconst(body) };
	}
	if (key != NULL) {
		reply_mac(mac, &m, nonce, key);
		m.mac = (ProtobufCBinaryData){ .len = sizeof(mac), .data = mac };
	}
	size_t n = millrace__reply__get_packed_size(&m);
	out->len += millrace__reply__pack(&m, (uint8_t *)buf_reserve(out, n));
}

/* Text from the wire ends up in logs and answers: one printable line. */
static char *
clean_text(const char *s)
{
	char *t = xstrndup(s ? s : "no text", RPC_ERROR_MAX);
	for (char *c = t; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	return t;
}

static int
reply_verify(const Millrace__Reply *m, const uint8_t *nonce, const uint8_t *key, struct err **err)
{
	uint8_t mac[CRYPTO_SHA256_LEN];
	if (m->version != RPC_VERSION)
		return err_set(err, ERR_INVALID,
		    "the server speaks protocol version %u, this program %d: run the same release "
		    "everywhere",
		    m->version, RPC_VERSION);
	reply_mac(mac, m, nonce, key);
	if (m->mac.len == sizeof(mac) && crypto_equal(mac, m->mac.data, sizeof(mac)))
		return 0;
	if (m->code == 0 || m->mac.len != 0)
		return err_set(err, ERR_DENIED,
		    "the reply does not carry a mac by our key: another server answers at this "
		    "address, or its key file differs");
	return err_set(err, ERR_DENIED, "the server does not accept our key; check key_file");
}

int
rpc_reply_parse(uint8_t **body, size_t *len, const uint8_t *p, size_t n,
    const uint8_t nonce[RPC_NONCE_LEN], const uint8_t key[CRYPTO_KEY_LEN], struct err **err)
{
	Millrace__Reply *m = millrace__reply__unpack(NULL, n, p);
	if (m == NULL)
		return err_set(err, ERR_UNAVAILABLE, "the server's reply is not a valid envelope");
	int rc = reply_verify(m, nonce, key, err);
	if (rc == 0 && m->code != 0) {
		enum err_code code = ERR_INTERNAL;
		if (m->code < 0 && m->code >= ERR_INTERNAL)
			code = (enum err_code)m->code;
		auto_free char *text = clean_text(m->message);
		rc = m->slug ? err_set_slug(err, code, m->slug, "%s", text)
		             : err_set(err, code, "%s", text);
	} else if (rc == 0) {
		*body = xmemdup(m->body.data, m->body.len);
		*len = m->body.len;
	}
	millrace__reply__free_unpacked(m, NULL);
	return rc;
}
