-- What each guard reported last: whether it changed its mind, or says again what it said before.
create table guard_reports (guard_id text not null, tool text not null, digest text not null, primary key (guard_id, tool));
