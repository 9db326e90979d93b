-- Users and their API tokens. A token is stored as its SHA-256 only.
create table users (
	id uuid primary key,
	name text not null unique check (length(name) between 1 and 40),
	admin boolean not null default false,
	created_at timestamptz not null default now()
);

create table user_tokens (
	user_id uuid not null references users (id) on delete cascade,
	name text not null check (name <> ''),
	hash bytea not null unique check (length(hash) = 32),
	created_at timestamptz not null default now(),
	primary key (user_id, name)
);
