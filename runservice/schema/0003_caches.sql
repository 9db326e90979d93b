-- Caches are archives under a key. scope: whose (a project, or a user's repository); trust and zone: who may see it;
-- key: escaped, plain ASCII. A row here makes the archive readable; a retired one is no longer found, and goes with its
-- archive once nobody can still be reading it.
create table caches (
    archive_id uuid primary key references archives on delete cascade,
    scope text collate "C" not null,
    trust integer not null,
    zone text collate "C" not null,
    key text collate "C" not null,
    created timestamptz not null default now(),
    retired timestamptz
);
create unique index caches_key on caches (scope, key, trust, zone) where retired is null;
create index caches_created on caches (created) where retired is null;
create index caches_retired on caches (retired) where retired is not null;

-- What an archive in the making will be the cache of.
create table cache_uploads (
    archive_id uuid primary key references archives on delete cascade,
    scope text collate "C" not null,
    trust integer not null,
    zone text collate "C" not null,
    key text collate "C" not null
);

-- Parts for which URLs were given out, and when last: what may lie in the object store.
alter table archives add column urls integer not null default 0;
alter table archives add column urls_at timestamptz not null default now();
update archives set urls = (select count(*) from archive_parts where archive_id = id);
create index archives_created on archives (created);

alter table log_segments add column created timestamptz not null default now();
create index log_segments_created on log_segments (created);
