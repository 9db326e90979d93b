-- Organizations, and the tree of project groups and projects below users and organizations.
create table organizations (
	id uuid primary key,
	name text not null unique check (length(name) between 1 and 40),
	visibility text not null check (visibility in ('public', 'private')),
	creator_user_id uuid references users (id) on delete set null,
	created_at timestamptz not null default now()
);

create table org_members (
	org_id uuid not null references organizations (id) on delete cascade,
	user_id uuid not null references users (id) on delete cascade,
	role text not null check (role in ('owner', 'member')),
	primary key (org_id, user_id)
);
create index on org_members (user_id);

create table org_invitations (
	id uuid primary key,
	org_id uuid not null references organizations (id) on delete cascade,
	user_id uuid not null references users (id) on delete cascade,
	role text not null check (role in ('owner', 'member')),
	created_at timestamptz not null default now(),
	unique (org_id, user_id)
);
create index on org_invitations (user_id);

-- Every owner has one root group: without a name, and the only one that names the owner.
create table project_groups (
	id uuid primary key,
	name text not null check (length(name) <= 40),
	parent_id uuid references project_groups (id) on delete cascade,
	user_id uuid unique references users (id) on delete cascade,
	org_id uuid unique references organizations (id) on delete cascade,
	visibility text not null check (visibility in ('public', 'private')),
	created_at timestamptz not null default now(),
	unique (parent_id, name),
	check ((name = '') = (parent_id is null)),
	check (num_nonnulls(parent_id, user_id, org_id) = 1)
);

create table projects (
	id uuid primary key,
	name text not null check (length(name) between 1 and 40),
	parent_id uuid not null references project_groups (id) on delete cascade,
	visibility text not null check (visibility in ('public', 'private')),
	remote_source_id uuid references remote_sources (id) on delete set null,
	linked_account_id uuid references linked_accounts (id) on delete set null,
	repository_id text not null,
	repository_path text not null,
	clone_url text not null,
	html_url text not null,
	default_branch text not null,
	ssh_private_key bytea, -- the deploy key that the git host was given
	webhook_secret bytea not null,
	skip_ssh_host_key_check boolean not null,
	pass_vars_to_forked_pr boolean not null,
	members_can_perform_run_actions boolean not null,
	created_at timestamptz not null default now(),
	unique (parent_id, name)
);

insert into project_groups (id, name, user_id, visibility)
	select gen_random_uuid(), '', id, 'public' from users;

-- One group with what its ancestors decide: path, owner, and whether any of them is private.
create function group_info(gid uuid) returns table (
	id uuid, name text, visibility text, path text, parent_path text, is_private boolean,
	depth integer, user_id uuid, org_id uuid, owner_name text)
language sql stable as $$
	with recursive up as (
		select g.id, g.name, g.parent_id, g.user_id, g.org_id, g.visibility, 0 as level
		from project_groups g where g.id = gid
		union all
		select p.id, p.name, p.parent_id, p.user_id, p.org_id, p.visibility, up.level + 1
		from up join project_groups p on p.id = up.parent_id
	), tree as (
		select string_agg(up.name, '/' order by up.level desc) as names,
			string_agg(up.name, '/' order by up.level desc) filter (where up.level > 0)
				as parents,
			bool_or(up.visibility = 'private') as hidden, max(up.level) as depth
		from up
	)
	select g.id, g.name, g.visibility, o.root || t.names,
		o.root || coalesce(t.parents, ''),
		t.hidden or o.org_private, t.depth, o.user_id, o.org_id, o.owner_name
	from project_groups g, tree t, (
		select up.user_id, up.org_id, coalesce(u.name, org.name) as owner_name,
			case when u.id is not null then 'user/' || u.name
				else 'org/' || org.name end as root,
			coalesce(org.visibility = 'private', false) as org_private
		from up left join users u on u.id = up.user_id
			left join organizations org on org.id = up.org_id
		where up.parent_id is null
	) o
	where g.id = gid
$$;
