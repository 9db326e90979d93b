-- A task that fails is tried again as often as its definition says. tries: those that failed and were followed by another one.
alter table tasks add column retries integer not null default 0,
    add column tries integer not null default 0,
    add constraint tasks_tries_check check (retries between 0 and 10 and tries between 0 and retries);
-- How they ended: packed AttemptStates. The present try is in tasks and steps.
create table tries (
    run_id uuid not null,
    task_id uuid not null,
    try integer not null check (try between 0 and 9),
    state bytea not null,
    primary key (run_id, task_id, try)
);

-- Every try has logs and archives of its own, and within a try a log's pieces are numbered from 0.
alter table attempts add column try integer not null default 0 check (try between 0 and 10);
alter table archives add column try integer not null default 0 check (try between 0 and 10);
alter table log_segments add column try integer not null default 0 check (try between 0 and 10),
    drop constraint log_segments_pkey,
    add primary key (task_id, step, try, start_off);
alter table deleted_logs add column try integer not null default 0 check (try between 0 and 10),
    drop constraint deleted_logs_pkey,
    add primary key (task_id, step, try);
