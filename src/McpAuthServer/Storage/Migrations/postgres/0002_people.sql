alter table users add column administrator bigint not null default 0;

-- How a person signs in: the user of ASP.NET Core Identity (schema 3), for those users who can.
create table accounts (
  id text primary key references users, user_name text not null, normalized_user_name text not null unique, email text, normalized_email text,
  email_confirmed bigint not null, password_hash text, security_stamp text not null, concurrency_stamp text not null, phone_number text,
  phone_number_confirmed bigint not null, two_factor_enabled bigint not null, lockout_end bigint, lockout_enabled bigint not null,
  access_failed_count bigint not null);
create table account_claims (id bigint generated always as identity primary key, user_id text not null references accounts, claim_type text, claim_value text);
create index account_claims_by_user on account_claims (user_id);
create table account_logins (
  login_provider text not null, provider_key text not null, provider_display_name text, user_id text not null references accounts,
  primary key (login_provider, provider_key));
create table account_tokens (
  user_id text not null references accounts, login_provider text not null, name text not null, value text, primary key (user_id, login_provider, name));
create table account_passkeys (credential_id bytea primary key, user_id text not null references accounts, data text not null);
create index account_passkeys_by_user on account_passkeys (user_id);

-- user_id null: whoever opens it becomes the first administrator.
create table setup_links (hash text primary key, user_id text references users, created_at bigint not null, expires_at bigint not null, used_at bigint);

create table data_protection_keys (name text primary key, wrapped bytea not null, created_at bigint not null);

create table sessions (
  id text primary key, user_id text not null references users, auth_time bigint not null, acr text not null, expires_at bigint not null, ended_at bigint);
create index sessions_by_user on sessions (user_id);
create index sessions_by_expiry on sessions (expires_at);
