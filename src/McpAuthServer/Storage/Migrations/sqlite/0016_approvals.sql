-- A person's yes or no to one exact call. binding: digest of all that it is bound to; sealed: the arguments, encrypted by the guard for the decision sealed_for, null once
-- they are not needed. state: waiting, approved, refused, used, expired, ended. chain: JSON.
create table approvals (
  id text primary key, state text not null, binding text not null, task_id text not null references tasks, grant_id text not null, user_id text, agent_id text, instance_id text,
  client_id text not null, chain text not null, tool_server text not null references tool_servers, tool text not null, def_digest text not null, args_digest text not null,
  policy_hash text not null, jti text not null, sealed text, sealed_for text not null, asked_at integer not null, expires_at integer not null, asked_event text not null,
  answered_at integer, answered_by text, used_at integer, used_by text);
create unique index one_open_approval on approvals (binding) where state in ('waiting', 'approved');
create index approvals_by_binding on approvals (binding, state);
create index approvals_open on approvals (expires_at) where state in ('waiting', 'approved');
create index approvals_by_task on approvals (task_id, state);
create index approvals_by_user on approvals (user_id, state);
create index approvals_by_decision on approvals (used_by) where used_by is not null;

-- Word of an approval that waits, for channels outside; gone when it was taken, or is of no use any more.
create table approval_notices (
  approval text not null references approvals, webhook text not null, attempts integer not null, next_at integer not null, primary key (approval, webhook));
create index approval_notices_due on approval_notices (next_at);
