-- Who did what when from where. Rows are only ever added.
create table audit_log (
	id bigint generated always as identity primary key,
	at timestamptz not null default now(),
	who text not null check (who in ('user', 'admin', 'anonymous')),
	user_id uuid,
	username text not null,
	address text not null,
	method text not null,
	path text not null,
	outcome text not null check (outcome in ('done', 'asked', 'refused'))
);

create function audit_log_is_kept() returns trigger language plpgsql as $$
begin
	raise exception 'audit_log: rows are neither changed nor deleted';
end $$;
create trigger audit_log_is_kept before update or delete on audit_log
	for each row execute function audit_log_is_kept();

-- Services that were asked to stop serving, for export and import.
create table maintenance (
	service text primary key check (service in ('configstore', 'runservice')),
	requested boolean not null
);
insert into maintenance values ('configstore', false), ('runservice', false);
