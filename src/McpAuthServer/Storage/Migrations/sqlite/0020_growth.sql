-- When a guard last polled the stream, to within a day: a stream that nobody polls can go.
alter table guard_streams add column heard_at integer not null default 0;
update guard_streams set heard_at = created_at;
create index guard_streams_by_heard on guard_streams (heard_at);

-- When the server was told of the difference, whatever time the guard says.
alter table policy_differences add column told_at integer not null default 0;
update policy_differences set told_at = min(at, cast(strftime('%s', 'now') as integer) * 1000);
create index policy_differences_by_told on policy_differences (told_at);

create index approvals_over on approvals (expires_at) where state in ('refused', 'used', 'expired', 'ended');
