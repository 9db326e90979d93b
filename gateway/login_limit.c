#include "gateway/login_limit.h"

#include "common/clock.h"
#include "common/http_server.h"
#include "common/log.h"
#include "gateway/gateway.h"
#include "gateway/limit.h"
#include "gateway/reply.h"
#include "gateway/request.h"

#include <inttypes.h>
#include <stdio.h>

bool
gw_login_try(struct gw_req *rq, const char *name)
{
	int64_t now = clock_mono_ms();
	int64_t wait = gw_limit_take(rq->gw->login_peers, rq->peer, now);
	char seconds[32];

	if (wait == 0 && name) {
		wait = gw_limit_take(rq->gw->login_names, name, now);
		if (wait)
			gw_limit_give(rq->gw->login_peers, rq->peer, now);
	}
	if (wait == 0)
		return true;
	log_warn("too many logins", LOG_STR("address", rq->peer));
	snprintf(seconds, sizeof(seconds), "%" PRId64, wait / 1000 + 1);
	http_reply_header(rq->http, "Retry-After", seconds);
	gw_reply_denied(rq, 429);
	return false;
}

void
gw_login_forgive(struct gw_req *rq, const char *name)
{
	int64_t now = clock_mono_ms();

	gw_limit_give(rq->gw->login_peers, rq->peer, now);
	if (name)
		gw_limit_give(rq->gw->login_names, name, now);
}
