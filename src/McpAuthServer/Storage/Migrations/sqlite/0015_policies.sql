-- The definition that was approved, so that a changed one can be shown beside it, and what digest it has.
alter table tools add column approved_definition text;
alter table tools add column approved_definition_digest text;
update tools set approved_definition = definition, approved_definition_digest = reported_digest where digest = reported_digest;

-- Versions of a tool server's policies. state: draft, shadow, active, retired; tests: JSON.
create table policy_sets (
  tool_server text not null references tool_servers, version integer not null, state text not null, source text not null, tests text not null, note text,
  created_at integer not null, created_by text, activated_at integer, primary key (tool_server, version)) without rowid;
create unique index one_active_policy on policy_sets (tool_server) where state = 'active';
create unique index one_shadow_policy on policy_sets (tool_server) where state = 'shadow';

-- What guards were given: everything a decision depends on but the call itself. Kept for good, so that any decision can be made again.
create table policy_releases (
  tool_server text not null references tool_servers, version integer not null, hash text not null, body text not null, released_at integer not null,
  primary key (tool_server, version)) without rowid;
create index policy_releases_by_hash on policy_releases (hash);

-- What decisions were made on, encrypted by the guard.
create table policy_requests (decision text primary key, tool_server text not null, sealed text not null, expires_at integer not null) without rowid;
create index policy_requests_by_expiry on policy_requests (expires_at);

-- What a shadow said beside what decided.
create table policy_comparisons (
  tool_server text not null, version integer not null, compared integer not null, differing integer not null, primary key (tool_server, version)) without rowid;
create table policy_differences (
  decision text primary key, tool_server text not null, version integer not null, at integer not null, tool text, decided text not null, shadow text not null) without rowid;
create index policy_differences_by_version on policy_differences (tool_server, version, at);
