-- How a client became known: 'registered' by an administrator, 'dynamic' by itself, 'document' by its id, which is the address of one. The last two have
-- their metadata as it is registered; the columns that an administrator's file fills repeat of it what they can.
alter table clients add column origin text not null default 'registered';
alter table clients add column metadata text;
-- Of those that registered themselves: the hash of the token they manage that with, and when it ends unless it is used until then.
alter table clients add column registration_hash text;
alter table clients add column created_at integer;
alter table clients add column expires_at integer;
-- Of documents: until when they need not be fetched again.
alter table clients add column fresh_until integer;
create index clients_by_expiry on clients (expires_at) where expires_at is not null;
create index clients_by_origin on clients (origin, state) where origin <> 'registered';
create index consents_by_client on consents (client_id);
