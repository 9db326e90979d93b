#include "gateway/handlers.h"

#include "common/http_server.h"
#include "common/mem.h"
#include "gateway/badge.h"
#include "gateway/gateway.h"
#include "gateway/intake.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/rs_client.h"

#include <string.h>

static void
listed(const void *reply, struct err **err, void *arg)
{
	const Millrace__RunListReply *r = reply;
	struct gw_req *rq = arg;
	auto_free char *svg = NULL;

	if (!r) {
		gw_reply_err(rq, err);
		return;
	}
	svg = gw_badge_svg(r->n_runs ? gw_badge_of(r->runs[0]->phase, r->runs[0]->result)
	                             : gw_badge_of(NULL, NULL));
	http_reply_header(rq->http, "Cache-Control", "no-cache");
	gw_reply_bytes(rq, 200, "image/svg+xml", svg, strlen(svg));
}

void
gw_api_badge(struct gw_req *rq)
{
	Millrace__RunListRequest q = MILLRACE__RUN_LIST_REQUEST__INIT;
	const char *branch = gw_req_query(rq, "branch", 0);

	q.group = gw_req_run_owner(rq);
	if (branch && *branch) {
		auto_free char *escaped = gw_group_escape(branch);

		q.group = gw_req_printf(rq, "%s/branch/%s", q.group, escaped);
	}
	q.limit = 1;
	gw_rs_run_list(rq->gw->rs, &q, listed, rq);
}
