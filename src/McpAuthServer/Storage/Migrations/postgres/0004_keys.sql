-- A signing key is next, active, retired and past, in this order, or revoked. active_from: since when it signs; of the next one, from when it is to.
-- ended_at: when it stopped signing, or was revoked. private_wrapped: for as long as it signs or will; after that public_wrapped, which until then
-- the private part stands for. public_jwk is for people to read.
alter table signing_keys alter column private_wrapped drop not null;
alter table signing_keys add column active_from bigint not null default 0, add column ended_at bigint, add column public_wrapped bytea;
update signing_keys set active_from = created_at;
create unique index one_key_signs on signing_keys (state) where state = 'active';
create unique index one_key_is_next on signing_keys (state) where state = 'next';

-- One row. Every change to a signing key raises it.
create table signing_key_ring (id bigint primary key check (id = 1), version bigint not null);
insert into signing_key_ring (id, version) values (1, 1);
