/* Handlers that ask a git host. Each is a chain: database, host, database. */
#include "gateway/handlers.h"

#include "common/log.h"
#include "common/mem.h"
#include "gateway/gateway.h"
#include "gateway/host_access.h"
#include "gateway/object_json.h"
#include "gateway/parent.h"
#include "gateway/project.h"
#include "gateway/reply.h"
#include "gateway/request.h"

#include <stdio.h>
#include <string.h>

#define WEBHOOK_SECRET_BYTES 20

/* State of one handler, in the request's arena. */
struct host_op {
	struct gw_githost host;
	char remote_id[ID_LEN + 1], account_id[ID_LEN + 1], parent_id[ID_LEN + 1];
	const char *repo_path;
	bool is_private;
	struct gw_githost_repo repo; /* as the host describes it; arena */
};

static struct host_op *
op_of(struct gw_req *rq)
{
	return rq->op;
}

static struct host_op *
op_new(struct gw_req *rq)
{
	rq->op = gw_req_alloc(rq, sizeof(struct host_op));
	return rq->op;
}

static const char *
keep(struct gw_req *rq, const char *text)
{
	return gw_req_strdup(rq, text ? text : "");
}

/* The one repository that was asked for; false when the request was answered. */
static bool
take_repo(struct gw_req *rq, const struct gw_githost_repo *list, size_t n, struct err **err)
{
	struct host_op *op = op_of(rq);

	if (n != 1 && !*err)
		err_set(err, ERR_NOTFOUND, "the git host has no such repository");
	if (*err) {
		gw_reply_err(rq, err);
		return false;
	}
	op->repo = (struct gw_githost_repo){ .id = keep(rq, list->id),
		.path = keep(rq, list->path),
		.ssh_url = keep(rq, list->ssh_url),
		.html_url = keep(rq, list->html_url),
		.default_branch = keep(rq, list->default_branch) };
	return true;
}

/* --- create --- */

static int
check_fields(struct host_op *op, struct gw_req *rq, struct db *db, struct err **err)
{
	const char *name = json_text(rq->body, "name");
	const char *source = json_text(rq->body, "remote_source_name");

	op->repo_path = json_text(rq->body, "repo_path");
	if (gw_name_check(name, "name", "invalidProjectName", err) < 0)
		return ERR_INVALID;
	if (!source || !*source)
		return err_set_slug(
		    err, ERR_INVALID, "invalidRemoteSourceName", "remote_source_name: is missing");
	if (!op->repo_path || !*op->repo_path || strlen(op->repo_path) > GW_PATH_MAX)
		return err_set_slug(err, ERR_INVALID, "invalidRepoPath",
		    "repo_path: must be owner/repository at the git host");
	if (gw_store_project_check_name(db, op->parent_id, name, err) < 0)
		return (*err)->code;
	if (!gw_visibility_parse(&op->is_private, json_text(rq->body, "visibility")))
		return err_set(err, ERR_INVALID, "visibility: must be public or private");
	return 0;
}

static int
create_prepare(struct gw_req *rq, struct db *db, struct err **err)
{
	struct host_op *op = op_of(rq);
	struct gw_group parent;

	int rc = gw_parent_find(&parent, rq, db, json_text(rq->body, "parent_ref"), err);

	if (rc < 0)
		return rc;
	snprintf(op->parent_id, sizeof(op->parent_id), "%s", parent.id);
	rc = check_fields(op, rq, db, err);
	if (rc == 0)
		rc = gw_project_check_members_run(
		    &parent, json_flag(rq->body, "members_can_perform_run_actions", false), err);
	gw_group_fini(&parent);
	if (rc < 0)
		return rc;
	return gw_host_open_as(&op->host, op->remote_id, op->account_id, rq, db,
	    json_text(rq->body, "remote_source_name"), rq->who.user.id, err);
}

static int
create_store(struct gw_req *rq, struct db *db, struct err **err)
{
	const struct host_op *op = op_of(rq);
	char secret[2 * WEBHOOK_SECRET_BYTES + 1];
	struct id id = id_new();
	struct gw_project_new p = { .name = json_text(rq->body, "name"),
		.parent_id = op->parent_id,
		.remote_source_id = op->remote_id,
		.linked_account_id = op->account_id,
		.repository_id = op->repo.id,
		.repository_path = op->repo.path,
		.clone_url = op->repo.ssh_url,
		.html_url = op->repo.html_url,
		.default_branch = op->repo.default_branch,
		.is_private = op->is_private,
		.skip_ssh_host_key_check = json_flag(rq->body, "skip_ssh_host_key_check", false),
		.pass_vars_to_forked_pr = json_flag(rq->body, "pass_vars_to_forked_pr", false),
		.members_can_perform_run_actions =
		    json_flag(rq->body, "members_can_perform_run_actions", false) };
	auto_free char *place = gw_project_place(id.s, "webhook_secret");
	int rc;

	snprintf(p.id, sizeof(p.id), "%s", id.s);
	id_random_hex(secret, WEBHOOK_SECRET_BYTES);
	p.webhook_secret = gw_seal(&rq->gw->keys, secret, place);
	rc = gw_store_project_create(db, &p, err);
	gw_sealed_fini(&p.webhook_secret);
	if (rc < 0)
		return rc;
	log_info("project created", LOG_STR("project", p.id), LOG_STR("name", p.name));
	return gw_project_reply(rq, db, p.id, 201, err);
}

static void
create_repo(const struct gw_githost_repo *list, size_t n, struct err **err, void *arg)
{
	struct gw_req *rq = arg;

	if (take_repo(rq, list, n, err))
		gw_req_step(rq, rq->gw->db_pool, create_store, NULL);
}

static void
create_ask(struct gw_req *rq)
{
	const struct host_op *op = op_of(rq);

	gw_githost_repo_get(rq->gw, &op->host, op->repo_path, create_repo, rq);
}

void
gw_api_project_create(struct gw_req *rq)
{
	op_new(rq);
	gw_req_step(rq, rq->gw->db_pool, create_prepare, create_ask);
}

/* --- refresh --- */

static int
open_own(struct gw_req *rq, struct db *db, struct err **err)
{
	struct host_op *op = op_of(rq);

	return gw_host_open_as(&op->host, op->remote_id, op->account_id, rq, db,
	    rq->project.remote_source_id, rq->who.user.id, err);
}

static int
refresh_store(struct gw_req *rq, struct db *db, struct err **err)
{
	const struct gw_githost_repo *repo = &op_of(rq)->repo;

	if (gw_store_project_set_repo(db, rq->project.id, NULL, repo->path, repo->default_branch,
	        repo->ssh_url, repo->html_url, err) < 0)
		return (*err)->code;
	return gw_project_reply(rq, db, rq->project.id, 200, err);
}

static void
refresh_repo(const struct gw_githost_repo *list, size_t n, struct err **err, void *arg)
{
	struct gw_req *rq = arg;

	if (take_repo(rq, list, n, err))
		gw_req_step(rq, rq->gw->db_pool, refresh_store, NULL);
}

static void
refresh_ask(struct gw_req *rq)
{
	gw_githost_repo_get(
	    rq->gw, &op_of(rq)->host, rq->project.repository_path, refresh_repo, rq);
}

void
gw_api_project_refresh(struct gw_req *rq)
{
	op_new(rq);
	gw_req_step(rq, rq->gw->db_pool, open_own, refresh_ask);
}

/* --- repositories of the caller --- */

static int
list_open(struct gw_req *rq, struct db *db, struct err **err)
{
	struct host_op *op = op_of(rq);

	return gw_host_open_as(&op->host, op->remote_id, op->account_id, rq, db,
	    gw_req_param(rq, "rs"), rq->who.user.id, err);
}

static void
listed(const struct gw_githost_repo *list, size_t n, struct err **err, void *arg)
{
	struct gw_req *rq = arg;
	json_t *out;

	if (*err) {
		/* Whatever the host says, it is not this server's failure. */
		(*err)->code = ERR_INVALID;
		gw_reply_err(rq, err);
		return;
	}
	out = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(
		    out, json_pack("{s:s, s:s}", "id", list[i].id, "path", list[i].path));
	gw_reply_json(rq, 200, out);
}

static void
list_ask(struct gw_req *rq)
{
	gw_githost_repo_list(rq->gw, &op_of(rq)->host, listed, rq);
}

void
gw_api_remote_repos(struct gw_req *rq)
{
	op_new(rq);
	gw_req_step(rq, rq->gw->db_pool, list_open, list_ask);
}

/* --- what only a git host can do --- */

static void
unsupported(struct gw_req *rq)
{
	struct err *err = NULL;

	err_set(&err, ERR_INVALID,
	    "this version of the gateway cannot do that at a git host of type %s yet",
	    op_of(rq)->host.type);
	gw_reply_err(rq, &err);
}

static int
open_of_project(struct gw_req *rq, struct db *db, struct err **err)
{
	struct gw_remote remote;
	int rc = gw_store_remote_by_ref(&remote, db, rq->project.remote_source_id, err);

	if (rc < 0)
		return rc;
	rc = gw_host_open(&op_of(rq)->host, rq, &remote, err);
	gw_remote_fini(&remote);
	return rc;
}

void
gw_api_project_reconfig(struct gw_req *rq)
{
	op_new(rq);
	gw_req_step(rq, rq->gw->db_pool, open_of_project, unsupported);
}

void
gw_api_project_createrun(struct gw_req *rq)
{
	static const char *const kinds[] = { "branch", "tag", "ref" };
	struct err *err = NULL;
	unsigned given = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *v = json_text(rq->body, kinds[i]);

		given += v && *v;
	}
	if (given != 1) {
		err_set(&err, ERR_INVALID, "give exactly one of branch, tag and ref");
		gw_reply_err(rq, &err);
		return;
	}
	op_new(rq);
	gw_req_step(rq, rq->gw->db_pool, open_own, unsupported);
}
