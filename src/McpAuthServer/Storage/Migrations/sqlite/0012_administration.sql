-- Clients that administer this server over HTTP.
alter table clients add column administers integer not null default 0;
