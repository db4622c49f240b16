-- A signing key is next, active, retired and past, in this order, or revoked. active_from: since when it signs; of the next one, from when it is to.
-- ended_at: when it stopped signing, or was revoked. private_wrapped: for as long as it signs or will; after that public_wrapped, which until then
-- the private part stands for. public_jwk is for people to read.
create table keys_of_0004 (
  kid text primary key, alg text not null, state text not null, created_at integer not null, private_wrapped blob, public_jwk text not null,
  active_from integer not null default 0, ended_at integer, public_wrapped blob);
insert into keys_of_0004 (kid, alg, state, created_at, private_wrapped, public_jwk, active_from)
  select kid, alg, state, created_at, private_wrapped, public_jwk, created_at from signing_keys;
drop table signing_keys;
alter table keys_of_0004 rename to signing_keys;
create unique index one_key_signs on signing_keys (state) where state = 'active';
create unique index one_key_is_next on signing_keys (state) where state = 'next';

-- One row. Every change to a signing key raises it.
create table signing_key_ring (id integer primary key check (id = 1), version integer not null);
insert into signing_key_ring (id, version) values (1, 1);
