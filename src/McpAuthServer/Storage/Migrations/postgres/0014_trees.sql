-- Whose a task is: the instance that began it, or took it up last. resumable: it outlives that one, suspended, for another of the agent; else it fails with it.
alter table tasks add column instance_id text;
alter table tasks add column resumable bigint not null default 0;
create index tasks_by_instance on tasks (instance_id) where instance_id is not null and state in ('active', 'suspended');
create index instances_by_expiry on instances (expires_at) where state = 'active';

-- Calls of a budget that a guard holds in advance. They are counted as spent when they are leased; counted: the tasks they are counted against, a set of words.
create table budget_leases (
  id text primary key, guard_id text not null, counted text not null, tool_server text not null, tool text not null, calls bigint not null, expires_at bigint not null);
create index budget_leases_by_expiry on budget_leases (expires_at);

-- The review date that was told of last.
alter table agents add column review_told bigint;
