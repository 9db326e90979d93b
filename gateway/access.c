#include "gateway/access.h"

#include <string.h>

enum gw_member
gw_member_of(const char *role)
{
	if (strcmp(role, "owner") == 0)
		return GW_MEMBER_OWNER;
	return strcmp(role, "member") == 0 ? GW_MEMBER_MEMBER : GW_MEMBER_NONE;
}

static bool
owns(const struct gw_facts *f)
{
	if (f->admin)
		return true;
	return f->org ? f->member == GW_MEMBER_OWNER : f->self;
}

static enum gw_verdict
see(const struct gw_facts *f)
{
	if (!f->hidden || owns(f) || (f->org && f->member != GW_MEMBER_NONE))
		return GW_ALLOW;
	/* A logged-in stranger does not learn that the organization exists. */
	return f->org && f->user ? GW_HIDE : GW_REFUSE;
}

static enum gw_verdict
when(bool allowed)
{
	return allowed ? GW_ALLOW : GW_REFUSE;
}

static enum gw_verdict
real_user(const struct gw_facts *f, bool allowed)
{
	return f->user ? when(allowed) : GW_REFUSE_USER;
}

enum gw_verdict
gw_access(enum gw_role role, const struct gw_facts *f)
{
	switch (role) {
	case GW_ROLE_ANY:
		return GW_ALLOW;
	case GW_ROLE_USER:
		return real_user(f, true);
	case GW_ROLE_ADMIN:
		return when(f->admin);
	case GW_ROLE_SELF:
		return when(f->admin || f->self);
	case GW_ROLE_SELF_USER:
		return real_user(f, f->admin || f->self);
	case GW_ROLE_HIMSELF:
		return real_user(f, f->self);
	case GW_ROLE_SEE:
		return see(f);
	case GW_ROLE_OWNER:
		return when(owns(f));
	case GW_ROLE_OWNER_USER:
		return real_user(f, owns(f));
	case GW_ROLE_RUN:
		return when(owns(f) || (f->org && f->members_run && f->member == GW_MEMBER_MEMBER));
	}
	return GW_REFUSE;
}
