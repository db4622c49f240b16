-- Who signs people in elsewhere, and may speak for them here. clients: the ids of those it speaks for them to. link_domains, provision: the rules by which a
-- subject that nobody linked becomes somebody; none = never.
create table identity_providers (
  id text primary key, name text not null, issuer text not null unique, jwks text, jwks_uri text, clients text not null, link_domains text not null, provision text,
  state text not null, changed_at bigint not null);

-- Who a provider's subject is here. origin: registered (an administrator said so), linked (by its address), provisioned (a person was made of it).
create table identities (
  provider_id text not null references identity_providers, subject text not null, user_id text not null references users, origin text not null,
  created_at bigint not null, primary key (provider_id, subject));
create index identities_by_user on identities (user_id);
create index users_by_email on users (lower(email)) where email is not null;

-- The keys of both kinds of issuers stand here.
alter table issuer_keys drop constraint issuer_keys_issuer_fkey;

-- What an enterprise allows for a person has the provider that said so. stopped_by: the rank of who ended it for good; only that one, or a higher, lifts it.
alter table consents add column provider_id text references identity_providers;
alter table consents add column stopped_by bigint not null default 0;
create index consents_by_provider on consents (provider_id) where provider_id is not null;
