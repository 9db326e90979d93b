#include "runservice/cache_key.h"

#include "common/buf.h"
#include "common/mem.h"
#include "runservice/spec.h"

#include <string.h>

int
rs_cache_place_of(struct rs_cache_place *out, const Millrace__RunSpec *spec, struct err **err)
{
	char *owner = NULL;
	const char *group = spec->cache_group ? spec->cache_group : "";
	int rc = rs_spec_owner(&owner, spec->group, err);
	if (rc != 0)
		return rc;
	/* Definitions from before runs had a trust get the lowest. */
	out->trust = spec->has_trust ? (int)spec->trust : MILLRACE__TRUST__TRUST_FORK;
	out->zone = xstrdup(out->trust == MILLRACE__TRUST__TRUST_FORK ? spec->group : "");
	out->prefix = xstrdup(*group ? group : strrchr(owner, '/') + 1);
	/* An owner has no blank, so that no two pairs make the same text. */
	out->scope = xasprintf("%s %s", owner, group);
	free(owner);
	return 0;
}

void
rs_cache_place_fini(struct rs_cache_place *p)
{
	free(p->scope);
	free(p->prefix);
	free(p->zone);
	*p = (struct rs_cache_place){ 0 };
}

char *
rs_cache_escape(const char *key)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	                            "-_.~$&+:=@";
	auto_buf b = BUF_INIT;
	for (; *key; key++) {
		if (strchr(plain, *key))
			buf_putc(&b, *key);
		else
			buf_printf(&b, "%%%02X", (unsigned)(unsigned char)*key);
	}
	return xstrdup(buf_str(&b));
}

int
rs_cache_key(char **out, const struct rs_cache_place *p, const char *key, struct err **err)
{
	auto_free char *escaped = rs_cache_escape(key);
	auto_free char *prefix = rs_cache_escape(p->prefix);
	size_t n = strlen(prefix) + 1 + strlen(escaped);
	if (n > RS_CACHE_KEY_MAX)
		return err_set(err, ERR_INVALID,
		    "cache key too long: with the prefix \"%.100s-\", and escaped as in a URL, it "
		    "has "
		    "%zu bytes, at most %d are possible",
		    p->prefix, n, RS_CACHE_KEY_MAX);
	*out = steal(&escaped);
	return 0;
}
