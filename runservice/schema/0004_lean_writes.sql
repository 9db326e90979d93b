-- The leader is the only writer of runs and knows what belongs together: checks of every row and indexes that nobody looks into
-- only cost. What runs in a group is seen from its runs.
alter table deps drop constraint deps_run_id_task_id_fkey;
alter table steps drop constraint steps_run_id_task_id_fkey;
alter table tasks drop constraint tasks_run_id_fkey;
alter table runs drop constraint runs_sequence_key;
alter table attempts drop constraint attempts_state_check;
drop index runs_queue;
create index runs_group on runs (grp, sequence);
drop table groups;

-- Found by owner and number. Indexes in random order would be read from disk for every run that ends.
alter table history drop constraint history_pkey;
alter table history drop constraint history_sequence_key;

-- Only closing an attempt touches an index: everything before changes its row in place.
drop index attempts_held;
drop index attempts_open;
drop index attempts_closed;
create index attempts_open on attempts (executor) where closed_at is null;
create index attempts_closed on attempts (closed_at) where closed_at is not null;
alter table attempts set (fillfactor = 70);
alter table tasks set (fillfactor = 70);
alter table runs set (fillfactor = 80);

-- Sent together with what is to be written: a transaction of another epoch fails by it.
create function assert_leader(mine bigint) returns void language plpgsql as $$
begin
    perform 1 from leader where epoch = mine for key share;
    if not found then
        raise exception 'not the leader' using errcode = '57L01';
    end if;
end $$;
