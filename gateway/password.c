#include "gateway/password.h"

#include "common/mem.h"
#include "gateway/login_limit.h"

#include <string.h>

/* Of nothing that anybody could type: checked where there is no hash, so that time tells nothing.
 */
#define NO_HASH                                                                                    \
	"$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"                                   \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

int
gw_password_hash(char out[CRYPTO_PASSWORD_LEN], const char *password, struct err **err)
{
	size_t n = password ? strlen(password) : 0;

	if (n < GW_PASSWORD_MIN || n > GW_PASSWORD_MAX)
		return err_set(err, ERR_INVALID, "password: must have %d to %d bytes",
		    GW_PASSWORD_MIN, GW_PASSWORD_MAX);
	if (!crypto_password_hash(out, password))
		return err_set(err, ERR_UNAVAILABLE, "not enough memory to hash a password");
	return 0;
}

int
gw_password_check(
    struct gw_user *out, struct db *db, const char *name, const char *password, struct err **err)
{
	auto_free char *hash = NULL;
	auto_err why = NULL;
	bool ok;

	if (!name || !password || strlen(password) > GW_PASSWORD_MAX)
		return err_set(err, ERR_INVALID, "login_name and password are wanted");
	if (gw_name_is_valid(name) && gw_store_password_get(&hash, out, db, name, &why) < 0 &&
	    why->code != ERR_NOTFOUND)
		return err_set(err, why->code, "%s", err_msg(why));
	ok = crypto_password_ok(hash ? hash : NO_HASH, password);
	if (!ok || !hash)
		return err_set(err, ERR_INVALID, "the name or the password is wrong");
	return 0;
}
