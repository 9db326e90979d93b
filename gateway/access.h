/*
 * access.h - who may do what on which visibility. Pure: facts in, verdict out.
 *
 * Every route names one role (route.h); handlers that meet a second object, such as the parent of
 * what is created, ask here too. There is no other place where authority is decided.
 */
#ifndef GATEWAY_ACCESS_H
#define GATEWAY_ACCESS_H

#include <stdbool.h>

/* What a caller must be to the object that the route names. */
enum gw_role {
	GW_ROLE_ANY = 1,
	GW_ROLE_USER,       /* a real user, not the bare administrator token */
	GW_ROLE_ADMIN,      /* administrator: the token, or a user who is one */
	GW_ROLE_SELF,       /* administrator or the user {u} */
	GW_ROLE_SELF_USER,  /* as SELF, and a real user */
	GW_ROLE_HIMSELF,    /* the user {u} alone */
	GW_ROLE_SEE,        /* anybody for what is public; else members, owner, administrator */
	GW_ROLE_OWNER,      /* administrator, the owning user, an owner of the organization */
	GW_ROLE_OWNER_USER, /* as OWNER, and a real user */
	GW_ROLE_RUN,        /* as OWNER; members too where the project lets them act on runs */
};

enum gw_member { GW_MEMBER_NONE = 0, GW_MEMBER_MEMBER, GW_MEMBER_OWNER };

struct gw_facts {
	bool admin;            /* by token or by the user's record */
	bool user;             /* a real user calls */
	bool self;             /* the caller is {u}, or the user who owns the object */
	bool org;              /* an organization owns the object */
	enum gw_member member; /* of the caller in that organization */
	bool hidden;           /* private by itself or by what is above it */
	bool members_run;      /* the project lets members act on runs */
};

enum gw_verdict {
	GW_ALLOW = 1,
	GW_REFUSE,      /* the route's status for a role that is not met */
	GW_REFUSE_USER, /* the route's status for a caller who is no real user */
	GW_HIDE,        /* 404 organizationDoesNotExist */
};

enum gw_verdict gw_access(enum gw_role role, const struct gw_facts *f);
/* "owner", "member", anything else is none. */
enum gw_member gw_member_of(const char *role);

#endif
