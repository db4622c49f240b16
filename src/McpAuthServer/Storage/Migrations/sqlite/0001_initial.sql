create table signing_keys (
  kid text primary key, alg text not null, state text not null, created_at integer not null,
  private_wrapped blob not null, public_jwk text not null);

create table settings (name text primary key, value blob not null);

-- One row. Every change to agents, clients, tool servers, tools or edges raises it; issuance checks it inside its unit.
create table registry (id integer primary key check (id = 1), version integer not null);
insert into registry (id, version) values (1, 1);

create table users (
  id text primary key, name text not null, email text, enabled integer not null default 1, changed_at integer not null);
create table groups (id text primary key, name text not null);
create table group_members (group_id text not null references groups, user_id text not null references users, primary key (group_id, user_id)) without rowid;

create table agents (
  id text primary key, name text not null, owner text not null, purpose text not null, tool_class text, state text not null,
  ceiling text not null, hand_off_to text not null, require_dpop integer not null, client_credentials integer not null,
  max_task_seconds integer not null, review_at integer, changed_at integer not null);

create table clients (
  id text primary key, name text not null, agent_id text references agents, auth_method text not null, secret_hash text, jwks text,
  grant_types text not null, legacy_audience integer not null, authority text not null, state text not null, changed_at integer not null);

create table tool_servers (
  id text primary key, resource text not null unique, name text not null, owner text not null, state text not null,
  args_key_wrapped blob not null, args_key_version integer not null, manifest integer not null, changed_at integer not null);
create table enrolment_secrets (
  hash text primary key, tool_server text not null references tool_servers, used_at integer, used_by text);

create table tools (
  tool_server text not null references tool_servers, name text not null, state text not null, sensitivity text not null, class text,
  approval text not null, digest text, reported_digest text, definition text, changed_at integer not null,
  primary key (tool_server, name)) without rowid;

create table edges (
  from_server text not null references tool_servers, from_tool text not null, to_server text not null references tool_servers, to_tools text not null,
  primary key (from_server, from_tool, to_server)) without rowid;

create table instances (
  id text primary key, agent_id text not null references agents, jkt text not null, state text not null, workload text, assurance text not null,
  attested_at integer not null, expires_at integer not null, ended_at integer);
create index instances_by_key on instances (agent_id, jkt);

create table tasks (
  id text primary key, parent_id text references tasks, user_id text, agent_id text, client_id text not null, origin text not null, purpose text not null,
  authority text not null, state text not null, suspended_by integer not null default 0,
  created_at integer not null, expires_at integer not null, ended_at integer, residual_ms integer);
create index tasks_by_parent on tasks (parent_id);
create index tasks_by_agent on tasks (agent_id, state);
create index tasks_by_deadline on tasks (state, expires_at);
create unique index one_session_task on tasks (client_id, coalesce(user_id, '')) where origin = 'session' and state = 'active';

-- task_id and tool_server are null where a person's consent to an agent stands alone: its tasks hang below it.
create table grants (
  id text primary key, parent_id text references grants, task_id text references tasks, subject text not null, agent_id text, instance_id text, user_id text,
  client_id text not null, consent_id text, tool_server text, authority text not null, chain text not null, lineage text not null, depth integer not null,
  state text not null, created_at integer not null, expires_at integer not null, token_exp integer not null);
create index grants_by_parent on grants (parent_id);
create index grants_by_task on grants (task_id);
create index grants_by_instance on grants (instance_id);
create index grants_by_consent on grants (consent_id) where consent_id is not null;

create table budgets (task_id text not null, tool_server text not null, tool text not null, spent integer not null, primary key (task_id, tool_server, tool)) without rowid;

-- Single use: assertion and proof jtis, each in its own space.
create table used_once (space text not null, key text not null, expires_at integer not null, primary key (space, key)) without rowid;
create index used_once_by_expiry on used_once (expires_at);

-- The revocation feed. seq is commit order.
create table revocations (
  seq integer primary key autoincrement, kind text not null, subject text not null, op text not null, reason text not null,
  before integer, at integer not null, until integer not null);
create index revocations_by_subject on revocations (kind, subject);

create table guards (
  id text primary key, tool_server text not null references tool_servers, jwk text not null, state text not null, enrolled_at integer not null,
  spool_seq integer not null, spool_hash text not null);
create table guard_streams (id text primary key, guard_id text not null references guards, created_at integer not null);

-- There is one writer at a time, so a row's place is its place in commit order.
create table audit_events (
  place integer primary key, seq integer generated always as (place) virtual, id text not null, time integer not null, type text not null,
  task text, jti text, grant_id text, agent text, body text not null);
create unique index audit_by_id on audit_events (id);
create index audit_by_task on audit_events (task) where task is not null;
create index audit_by_jti on audit_events (jti) where jti is not null;
create index audit_by_grant on audit_events (grant_id) where grant_id is not null;
