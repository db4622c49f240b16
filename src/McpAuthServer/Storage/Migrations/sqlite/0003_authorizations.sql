-- The members of these two are sets of words, separated by blanks.
alter table clients add column redirect_uris text not null default '';
alter table clients add column tool_servers text not null default '';

-- What a person allowed. By scope: for one tool server, in the words of scope. To an agent: tool_server and scope are null, authority decides.
create table consents (
  id text primary key, user_id text not null references users, client_id text not null references clients, agent_id text references agents,
  tool_server text references tool_servers, redirect_uri text not null, client_keys text not null, scope text, authority text not null, purpose text,
  state text not null, granted_at integer not null, remembered_until integer not null, ended_at integer);
create index tasks_by_user on tasks (user_id, state) where user_id is not null;
create index consents_by_user on consents (user_id, client_id);

create table codes (
  hash text primary key, consent_id text not null references consents, session_id text not null references sessions, client_id text not null,
  redirect_uri text not null, challenge text not null, scope text, authority text not null, task_expires_at integer, offline integer not null,
  created_at integer not null, expires_at integer not null, used_at integer, grant_id text);
create index codes_by_expiry on codes (expires_at);
create index codes_by_session on codes (session_id);

-- One line of refresh tokens, each used once. session_id: it ends with that sign-in. instance_id, jkt: an agent's.
create table refresh_families (
  id text primary key, client_id text not null, user_id text, consent_id text references consents, session_id text references sessions, agent_id text,
  instance_id text, jkt text, task_id text not null, grant_id text not null, scope text, auth_time integer, acr text, state text not null,
  created_at integer not null, expires_at integer not null);
create index refresh_families_by_grant on refresh_families (grant_id);
create index refresh_families_by_expiry on refresh_families (expires_at);
create index refresh_families_by_task on refresh_families (task_id);
create index refresh_families_by_instance on refresh_families (instance_id) where instance_id is not null;
create index refresh_families_by_consent on refresh_families (consent_id) where consent_id is not null;
create index refresh_families_by_session on refresh_families (session_id) where session_id is not null;
create table refresh_tokens (
  hash text primary key, family_id text not null references refresh_families, expires_at integer not null, used_at integer, successor_hash text, successor blob);
create index refresh_tokens_by_family on refresh_tokens (family_id);
create index refresh_tokens_by_expiry on refresh_tokens (expires_at);
