-- What an agent asks of a person who is elsewhere: hash is that of auth_req_id, form what was asked, asked_event the event that says so.
create table backchannel_requests (
  hash text primary key, client_id text not null, form text not null, jkt text, state text not null, pause_ms integer not null, polled_at integer, expires_at integer not null,
  answered_at integer, user_id text not null references users, agent_id text not null references agents, instance_id text, message text,
  asked_at integer not null, asked_event text not null) without rowid;
create index backchannel_requests_by_person on backchannel_requests (user_id, asked_at);
create index backchannel_requests_by_expiry on backchannel_requests (expires_at);
create index backchannel_requests_waiting on backchannel_requests (expires_at) where state = 'pending';

alter table device_requests add column answered_at integer;
