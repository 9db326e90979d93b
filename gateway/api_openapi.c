#include "gateway/handlers.h"

#include "common/daemon.h"
#include "gateway/gateway.h"
#include "gateway/openapi.h"
#include "gateway/reply.h"
#include "gateway/request.h"

void
gw_api_openapi(struct gw_req *rq)
{
	gw_reply_json(rq, 200, gw_openapi(rq->gw->cfg->public_url, daemon_version()));
}
