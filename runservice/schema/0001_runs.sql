-- Leadership. The epoch is unique so that taking over is a key change: writing transactions hold
-- FOR KEY SHARE on it and so block a takeover, but never a renewal.
create table leader (
    one boolean primary key default true check (one),
    epoch bigint not null unique,
    holder text not null,
    expires timestamptz not null
);
insert into leader (epoch, holder, expires) values (0, '', '-infinity');

create sequence run_sequence;
-- The last run number of a user or project.
create table counters (
    owner text collate "C" primary key,
    last bigint not null
);
-- At most one run of a group runs; locking this row orders everything that happens to the group.
create table groups (
    name text collate "C" primary key,
    running uuid
);

-- Active runs only; what is over is in history.
create table runs (
    id uuid primary key,
    sequence bigint not null unique,
    owner text collate "C" not null,
    number bigint not null,
    name text not null,
    grp text collate "C" not null,
    phase text not null,
    result text not null,
    stopping boolean not null default false,
    revision bigint not null default 1,
    enqueue_ms bigint not null,
    start_ms bigint not null default 0,
    end_ms bigint not null default 0,
    unique (owner, number)
);
create index runs_queue on runs (grp, sequence) where phase = 'queued';

create table tasks (
    run_id uuid not null references runs on delete cascade,
    id uuid not null,
    ord integer not null,
    name text not null,
    level integer not null,
    status text not null,
    place text not null,
    fence bigint not null default 0,
    executor text,
    skip boolean not null,
    ignore_failure boolean not null,
    needs_approval boolean not null,
    approved boolean not null default false,
    waiting boolean not null default false,
    timedout boolean not null default false,
    stop_told boolean not null default false,
    approvers text not null default '',
    arch text not null,
    privileged boolean not null,
    nsteps integer not null,
    timeout_ms bigint not null,
    start_ms bigint not null default 0,
    end_ms bigint not null default 0,
    primary key (run_id, id)
);
create table deps (
    run_id uuid not null,
    task_id uuid not null,
    parent_id uuid not null,
    conditions integer not null,
    primary key (run_id, task_id, parent_id),
    foreign key (run_id, task_id) references tasks on delete cascade
);
-- step -1 is the setup; absent = not started.
create table steps (
    run_id uuid not null,
    task_id uuid not null,
    step integer not null,
    phase text not null,
    exit_status integer,
    start_ms bigint not null default 0,
    end_ms bigint not null default 0,
    log_stored boolean not null default false,
    error text,
    primary key (run_id, task_id, step),
    foreign key (run_id, task_id) references tasks on delete cascade
);

-- The definition as given (a packed RunSpec): variables by name, never a value.
create table definitions (
    run_id uuid primary key,
    spec bytea not null
);

-- What is over: the state as a packed RunState.
create table history (
    id uuid primary key,
    sequence bigint not null unique,
    owner text collate "C" not null,
    number bigint not null,
    grp text collate "C" not null,
    phase text not null,
    result text not null,
    ended timestamptz not null default now(),
    state bytea not null,
    unique (owner, number)
);

-- One row per offer made; fences grow by task.
create table attempts (
    task_id uuid not null,
    fence bigint not null,
    run_id uuid not null,
    executor text not null,
    session text not null default '',
    state text not null check (state in ('offered', 'held', 'closed')),
    begun boolean not null default false,
    revision bigint not null default 0,
    outcome text,
    offered_at timestamptz not null default clock_timestamp(),
    lease_expires timestamptz,
    closed_at timestamptz,
    primary key (task_id, fence)
);
create index attempts_held on attempts (lease_expires) where state = 'held';
create index attempts_open on attempts (executor) where state <> 'closed';
create index attempts_closed on attempts (closed_at) where state = 'closed';

create table secret_versions (
    id uuid primary key,
    run_id uuid,                -- the run it is scoped to
    wrapped_key bytea not null, -- the data key, sealed by the master key
    sealed bytea not null,      -- the value, sealed by the data key
    created timestamptz not null default now()
);
create table run_variables (
    run_id uuid not null,
    name text not null,
    version uuid not null references secret_versions,
    primary key (run_id, name)
);

create table log_segments (
    task_id uuid not null,
    step integer not null,
    fence bigint not null,
    start_off bigint not null,
    end_off bigint not null,
    key text not null,
    primary key (task_id, step, start_off)
);
create table deleted_logs (
    task_id uuid not null,
    step integer not null,
    primary key (task_id, step)
);
-- Objects that no row names any more; removed by the sweep.
create table garbage (
    key text primary key,
    at timestamptz not null default now()
);

create table archives (
    id uuid primary key,
    run_id uuid not null,
    task_id uuid not null,
    fence bigint not null,
    step integer not null,
    done boolean not null default false,
    created timestamptz not null default now()
);
create index archives_done on archives (task_id, step) where done;
create table archive_parts (
    archive_id uuid not null references archives on delete cascade,
    part integer not null,
    size bigint not null,
    sha256 bytea not null,
    primary key (archive_id, part)
);

-- Answers already given, so that a repeated request gets the same one.
create table requests (
    id uuid primary key,
    answer bytea not null,
    at timestamptz not null default now()
);
create index requests_at on requests (at);

-- Outbox: every change of a run's phase or result, in commit order by run.
create table events (
    sequence bigint generated always as identity primary key,
    run_id uuid not null,
    owner text not null,
    number bigint not null,
    phase text not null,
    result text not null,
    at timestamptz not null default now()
);
