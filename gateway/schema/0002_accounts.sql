-- Local passwords, scoped and expiring tokens, git hosts and the accounts that users have there.
-- Columns of type bytea that are not hashes are sealed (gateway/seal.h).
alter table users
	add column password text, -- argon2id, as libsodium writes it
	-- Sessions of an earlier epoch are over: a new password begins a new one.
	add column session_epoch integer not null default 1;

alter table user_tokens
	add column scope text not null default 'full' check (scope in ('full', 'read')),
	add column expires_at timestamptz;

-- One-time links that set a password; as their SHA-256 only.
create table password_links (
	user_id uuid primary key references users (id) on delete cascade,
	hash bytea not null unique check (length(hash) = 32),
	expires_at timestamptz not null
);

create table remote_sources (
	id uuid primary key,
	name text not null unique check (length(name) between 1 and 40),
	apiurl text not null,
	type text not null check (type in ('gitea', 'github', 'gitlab')),
	auth_type text not null check (auth_type in ('oauth2', 'password')),
	skip_verify boolean not null,
	client_id text not null,
	client_secret bytea,
	ssh_host_key text not null,
	skip_ssh_host_key_check boolean not null,
	registration_enabled boolean not null,
	login_enabled boolean not null,
	created_at timestamptz not null default now()
);

create table linked_accounts (
	id uuid primary key,
	user_id uuid not null references users (id) on delete cascade,
	remote_source_id uuid not null references remote_sources (id) on delete cascade,
	remote_user_id text not null check (remote_user_id <> ''),
	remote_username text not null,
	remote_user_avatar_url text not null,
	access_token bytea, -- of a password source
	oauth2_access_token bytea,
	oauth2_refresh_token bytea,
	oauth2_expires_at timestamptz,
	created_at timestamptz not null default now(),
	unique (user_id, remote_source_id),
	unique (remote_source_id, remote_user_id)
);
