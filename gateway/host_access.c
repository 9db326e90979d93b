#include "gateway/host_access.h"

#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/request.h"

#include <stdio.h>

static int
open_sealed(
    const char **out, struct gw_req *rq, const struct gw_sealed *s, char *place, struct err **err)
{
	auto_free char *owned = place;
	char *text = NULL;

	if (gw_unseal(&text, &rq->gw->keys, s, owned, err) < 0)
		return (*err)->code;
	*out = gw_req_own(rq, text);
	return 0;
}

int
gw_host_open(
    struct gw_githost *out, struct gw_req *rq, const struct gw_remote *remote, struct err **err)
{
	*out = (struct gw_githost){ .type = gw_req_strdup(rq, remote->type),
		.apiurl = gw_req_strdup(rq, remote->apiurl),
		.skip_verify = remote->skip_verify,
		.client_id = gw_req_strdup(rq, remote->client_id) };
	return open_sealed(
	    &out->client_secret, rq, &remote->client_secret, gw_remote_place(remote->id), err);
}

static int
open_account(
    struct gw_githost *out, struct gw_req *rq, const struct gw_account *a, struct err **err)
{
	bool password = a->access_token.p != NULL;

	return open_sealed(&out->token, rq, password ? &a->access_token : &a->oauth2_access_token,
	    gw_account_place(a->id, password ? "access_token" : "oauth2_access_token"), err);
}

int
gw_host_open_as(struct gw_githost *out, char remote_id[ID_LEN + 1], char account_id[ID_LEN + 1],
    struct gw_req *rq, struct db *db, const char *source, const char *user_id, struct err **err)
{
	struct gw_account account = { 0 };
	struct gw_remote remote;
	int rc = gw_store_remote_by_ref(&remote, db, source, err);

	if (rc < 0)
		return rc;
	rc = gw_store_account_of_user(&account, db, user_id, remote.id, err);
	if (rc == 0)
		rc = gw_host_open(out, rq, &remote, err);
	if (rc == 0)
		rc = open_account(out, rq, &account, err);
	snprintf(remote_id, ID_LEN + 1, "%s", remote.id);
	snprintf(account_id, ID_LEN + 1, "%s", account.id);
	gw_account_fini(&account);
	gw_remote_fini(&remote);
	return rc;
}
