-- Clients that administer this server over HTTP.
alter table clients add column administers bigint not null default 0;
