#include "runservice/dump.h"

#include "common/clock.h"
#include "common/http_server.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "runservice/batch.h"
#include "runservice/dispatch.h"
#include "runservice/executors.h"
#include "runservice/logs.h"
#include "runservice/runservice.h"

enum gauge { LEADING, POLLS, OFFERS, LEASES, EVENTS, DB_QUEUE, IO_QUEUE, RPC_HELD, CONNECTIONS };

static const struct {
	const char *name, *help;
} names[] = {
	[LEADING] = { "millrace_leading", "1: it leads and serves." },
	[POLLS] = { "millrace_polls", "Executors that wait for a task." },
	[OFFERS] = { "millrace_offers", "Tasks offered and not accepted yet." },
	[LEASES] = { "millrace_leases", "Tasks that executors hold." },
	[EVENTS] = { "millrace_batch_waiting", "Events that wait for the next transaction." },
	[DB_QUEUE] = { "millrace_db_queue", "Jobs for PostgreSQL that wait or run." },
	[IO_QUEUE] = { "millrace_io_queue", "Jobs for the object store that wait or run." },
	[RPC_HELD] = { "millrace_rpc_held", "Requests that are not answered yet, polls included." },
	[CONNECTIONS] = { "millrace_http_connections", "HTTP connections." },
};
static struct metric *gauges[ARRAY_LEN(names)];

void
rs_meter_init(void)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		gauges[i] = metrics_gauge(names[i].name, "", names[i].help);
}

void
rs_sample(void *arg)
{
	const struct rs *rs = arg;
	struct rs_executors_load load = rs_executors_load_now(rs->executors);
	metrics_set(gauges[LEADING], rs->serving);
	metrics_set(gauges[POLLS], (int64_t)load.polls);
	metrics_set(gauges[OFFERS], (int64_t)load.offers);
	metrics_set(gauges[LEASES], (int64_t)load.leases);
	metrics_set(gauges[EVENTS], (int64_t)rs_batches_waiting(rs->batches));
	metrics_set(gauges[DB_QUEUE], (int64_t)work_pending(rs->db_pool));
	metrics_set(gauges[IO_QUEUE], (int64_t)work_pending(rs->io_pool));
	metrics_set(gauges[RPC_HELD], (int64_t)rpc_server_held(rs->rpc));
	metrics_set(gauges[CONNECTIONS], (int64_t)http_server_load(rs->http).connections);
}

static json_t *
queues(const struct rs *rs)
{
	return json_pack("{s:{s:I, s:I}, s:{s:I, s:I}, s:{s:I, s:I}, s:I}", "events", "pending",
	    (json_int_t)rs_batches_waiting(rs->batches), "max", (json_int_t)RS_BATCH_QUEUE_MAX,
	    "db", "pending", (json_int_t)work_pending(rs->db_pool), "max", (json_int_t)RS_QUEUE_MAX,
	    "io", "pending", (json_int_t)work_pending(rs->io_pool), "max", (json_int_t)RS_QUEUE_MAX,
	    "jobs", (json_int_t)rs->jobs);
}

char *
rs_dump(void *arg)
{
	struct rs *rs = arg;
	const struct http_server_load http = http_server_load(rs->http);
	char now[CLOCK_RFC3339_LEN];
	clock_rfc3339(clock_wall_ms(), now);
	auto_json *out = json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:o}", "daemon",
	    "millrace-runservice", "time", now, "replica", rs->holder, "leading", rs->epoch != 0,
	    "serving", rs->serving, "epoch", (json_int_t)rs->epoch, "queues", queues(rs));
	json_object_set_new(
	    out, "rpc", json_pack("{s:I}", "held", (json_int_t)rpc_server_held(rs->rpc)));
	json_object_set_new(out, "http",
	    json_pack("{s:I, s:I, s:I, s:I}", "connections", (json_int_t)http.connections,
	        "requests", (json_int_t)http.requests, "body_bytes", (json_int_t)http.body_bytes,
	        "objects_busy", (json_int_t)rs->objects_busy));
	rs_executors_dump(out, rs->executors);
	rs_dispatch_dump(out, rs->dispatch);
	rs_logs_dump(out, rs->logs);
	return json_print(out);
}
