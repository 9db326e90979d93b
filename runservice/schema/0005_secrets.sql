-- The keys that wrap the data keys of secrets: what a key is known by, never the key. The youngest seals what is new; an older
-- one is there while a rotation is under way, and goes when nothing refers to it.
create table master_keys (
    id text collate "C" primary key,
    serial bigint generated always as identity,
    since timestamptz not null default now()
);
alter table secret_versions add column master_key text collate "C" references master_keys;
create index secret_versions_master_key on secret_versions (master_key);
create index run_variables_version on run_variables (version);

-- A scope is a project or a project group.
create table secrets (
    id uuid primary key,
    scope uuid not null,
    name text collate "C" not null,
    type text not null check (type = 'internal'),
    unique (scope, name)
);
create table secret_data (
    secret_id uuid not null references secrets on delete cascade,
    key text collate "C" not null,
    version uuid not null references secret_versions,
    primary key (secret_id, key)
);
create index secret_data_version on secret_data (version);
create table variables (
    id uuid primary key,
    scope uuid not null,
    name text collate "C" not null,
    spec bytea not null, -- a packed Variable: its values in order
    unique (scope, name)
);
-- Keys of our own, sealed like secrets, so that they outlive a change of the master key.
create table own_keys (
    name text primary key,
    version uuid not null references secret_versions
);
