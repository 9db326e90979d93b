-- Projects and project groups that are gone, until the runservice has dropped their secrets and variables.
create table dropped_scopes (
	id uuid primary key
);

create function note_dropped_scope() returns trigger language plpgsql set search_path from current as $$
begin
	insert into dropped_scopes (id) values (old.id) on conflict do nothing;
	return null;
end
$$;
create trigger dropped after delete on projects
	for each row execute function note_dropped_scope();
create trigger dropped after delete on project_groups
	for each row execute function note_dropped_scope();
