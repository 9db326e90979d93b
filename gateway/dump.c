#include "gateway/dump.h"

#include "common/clock.h"
#include "common/http_server.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "gateway/gateway.h"
#include "gateway/git_server.h"
#include "gateway/log_feed.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/rs_client.h"

/* The list of requests holds at most so many; their total is always told. */
#define DUMP_MAX 200

enum gauge { CONNECTED, DB_QUEUE, GIT_QUEUE, EVAL_QUEUE, REQUESTS, CONNECTIONS, CALLS, FOLLOWERS };

static const struct {
	const char *name, *help;
} names[] = {
	[CONNECTED] = { "millrace_gateway_runservice_connected",
	    "1: the runservice is connected." },
	[DB_QUEUE] = { "millrace_gateway_db_queue", "Jobs for PostgreSQL that wait or run." },
	[GIT_QUEUE] = { "millrace_gateway_git_queue", "Readings of definitions that wait or run." },
	[EVAL_QUEUE] = { "millrace_gateway_evaluate_queue",
	    "Evaluations of Jsonnet definitions that wait or run." },
	[REQUESTS] = { "millrace_gateway_requests", "Requests that are not answered yet." },
	[CONNECTIONS] = { "millrace_gateway_connections", "HTTP connections." },
	[FOLLOWERS] = { "millrace_gateway_log_streams", "Logs being sent or followed." },
	[CALLS] = { "millrace_gateway_runservice_calls", "Calls the runservice has to answer." },
};
static struct metric *gauges[ARRAY_LEN(names)], *intake;

void
gw_meter_init(void)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		gauges[i] = metrics_gauge(names[i].name, "", names[i].help);
	intake = metrics_phase("phase=\"intake\"");
	gw_reply_meter_init();
	gw_feed_meter_init();
}

void
gw_meter_intake(int64_t ms)
{
	metrics_observe_ms(intake, ms);
}

void
gw_sample(const struct gateway *gw)
{
	const struct http_server_load load = http_server_load(gw->http);

	metrics_set(gauges[CONNECTED], gw_rs_connected(gw->rs));
	metrics_set(gauges[DB_QUEUE], (int64_t)work_pending(gw->db_pool));
	metrics_set(gauges[GIT_QUEUE], (int64_t)work_pending(gw->git_pool));
	metrics_set(gauges[EVAL_QUEUE], (int64_t)work_pending(gw->eval_pool));
	metrics_set(gauges[REQUESTS], (int64_t)load.requests);
	metrics_set(gauges[CONNECTIONS], (int64_t)load.connections);
	metrics_set(gauges[FOLLOWERS], gw->followers);
	metrics_set(gauges[CALLS], (int64_t)gw_rs_pending(gw->rs));
}

static json_t *
queue(const struct work_pool *pool, int max)
{
	return json_pack("{s:I, s:i}", "pending", (json_int_t)work_pending(pool), "max", max);
}

char *
gw_dump(void *arg)
{
	const struct gateway *gw = arg;
	const struct http_server_load load = http_server_load(gw->http);
	int64_t us = clock_mono_us();
	char now[CLOCK_RFC3339_LEN];
	json_t *list = json_array();
	auto_json *out = NULL;

	clock_rfc3339(clock_wall_ms(), now);
	for (const struct gw_req *rq = gw->requests; rq != NULL; rq = rq->next)
		json_append_max(list, DUMP_MAX,
		    json_pack("{s:s, s:s, s:I, s:b}", "method", http_req_method_name(rq->http),
		        "route", rq->route->pattern, "age_ms",
		        (json_int_t)((us - rq->started_us) / 1000), "on_worker", rq->busy));
	out = json_pack("{s:s, s:s, s:{s:b, s:I}, s:{s:o, s:o, s:o, s:o}}", "daemon",
	    "millrace-gateway", "time", now, "runservice", "connected", gw_rs_connected(gw->rs),
	    "calls", (json_int_t)gw_rs_pending(gw->rs), "queues", "db",
	    queue(gw->db_pool, GW_DB_QUEUE_MAX), "git", queue(gw->git_pool, GW_GIT_QUEUE_MAX),
	    "evaluate", queue(gw->eval_pool, GW_EVAL_QUEUE_MAX), "login",
	    queue(gw->login_pool, GW_LOGIN_QUEUE_MAX));
	json_object_set_new(out, "http",
	    json_pack("{s:I, s:I, s:I, s:o}", "connections", (json_int_t)load.connections,
	        "requests", (json_int_t)load.requests, "body_bytes", (json_int_t)load.body_bytes,
	        "list", list));
	json_object_set_new(out, "log_followers", json_integer((json_int_t)gw->followers));
	gw_git_dump(out, gw->git);
	return json_print(out);
}
