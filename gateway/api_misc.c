#include "gateway/handlers.h"

#include "common/buf.h"
#include "common/daemon.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "gateway/dump.h"
#include "gateway/gateway.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/rs_client.h"
#include "gateway/store.h"

#include <string.h>

void
gw_api_version(struct gw_req *rq)
{
	gw_reply_json(
	    rq, 200, json_pack("{s:s, s:s}", "service", "gateway", "version", daemon_version()));
}

/* For web pages: a script that says where the API is. */
void
gw_api_config_js(struct gw_req *rq)
{
	auto_json *config =
	    json_pack("{s:s, s:s}", "API_URL", rq->gw->cfg->public_url, "API_BASE_PATH", GW_API);
	auto_free char *text = json_print(config);
	const char *script = gw_req_printf(rq, "window.CONFIG = %s;\n", text);

	gw_reply_bytes(rq, 200, "application/javascript", script, strlen(script));
}

void
gw_api_healthz(struct gw_req *rq)
{
	gw_reply_text(rq, 200, "ok\n");
}

int
gw_api_readyz(struct gw_req *rq, struct db *db, struct err **err)
{
	if (!gw_rs_connected(rq->gw->rs))
		return err_set(err, ERR_UNAVAILABLE, "the runservice is not connected");
	if (gw_store_ping(db, err) < 0)
		return err_wrap(err, "database");
	rq->reply = json_pack("{s:s}", "status", "ready");
	return 0;
}

void
gw_api_metrics(struct gw_req *rq)
{
	auto_buf out = BUF_INIT;

	gw_sample(rq->gw);
	metrics_print(&out);
	gw_reply_bytes(rq, 200, "text/plain; version=0.0.4", buf_str(&out), out.len);
}

void
gw_api_state(struct gw_req *rq)
{
	auto_free char *json = gw_dump(rq->gw);

	gw_reply_bytes(rq, 200, "application/json", json, strlen(json));
}
