#include "gateway/parent.h"

#include "common/mem.h"
#include "gateway/auth.h"
#include "gateway/request.h"

int
gw_parent_find(
    struct gw_group *out, struct gw_req *rq, struct db *db, const char *ref, struct err **err)
{
	struct gw_facts facts;
	int rc;

	if (!ref || !*ref)
		ref = gw_req_printf(rq, "user/%s", rq->who.user.name);
	rc = gw_store_group_by_ref(out, db, ref, gw_req_user_id(rq), err);
	if (rc == ERR_NOTFOUND) {
		err_clear(err);
		return err_set_slug(err, ERR_NOTFOUND, "parentProjectGroupDoesNotExist",
		    "parent_ref: there is no such project group");
	}
	if (rc < 0)
		return rc;
	facts = gw_auth_group_facts(rq, out);
	if (gw_access(GW_ROLE_OWNER, &facts) == GW_ALLOW)
		return 0;
	gw_group_fini(out);
	return err_set(err, ERR_DENIED, "parent_ref: only its owner may put something there");
}
