-- Authorization requests that were left here beforehand: form is what was asked, hash that of the reference.
create table pushed_requests (
  hash text primary key, client_id text not null, form text not null, expires_at integer not null, used_at integer) without rowid;
create index pushed_requests_by_expiry on pushed_requests (expires_at);

-- nonce goes into the ID token; jkt is the key that a code is bound to. A code without a challenge never went through a browser: it is a device's.
alter table codes add column nonce text;
alter table codes add column jkt text;

-- A device's request: hash is that of the device code, user_code what the person types. form is what was asked. asked_at: the last poll.
create table device_requests (
  hash text primary key, user_code text not null unique, client_id text not null, form text not null, jkt text, state text not null,
  pause_ms integer not null, polled_at integer, expires_at integer not null) without rowid;
create index device_requests_by_expiry on device_requests (expires_at);
