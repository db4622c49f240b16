-- Nodes of before, which are replaced one by one, write neither time: hence the defaults.

-- When a guard last polled the stream, to within a day: a stream that nobody polls can go.
alter table guard_streams add column heard_at bigint not null default (extract(epoch from now()) * 1000)::bigint;
update guard_streams set heard_at = created_at;
create index guard_streams_by_heard on guard_streams (heard_at);

-- When the server was told of the difference, whatever time the guard says.
alter table policy_differences add column told_at bigint not null default (extract(epoch from now()) * 1000)::bigint;
update policy_differences set told_at = least(at, (extract(epoch from now()) * 1000)::bigint);
create index policy_differences_by_told on policy_differences (told_at);

create index approvals_over on approvals (expires_at) where state in ('refused', 'used', 'expired', 'ended');
