-- Who says of programs which they are. jwks: their keys, when they are not published; jwks_uri: where they are, when the issuer's metadata does not say it.
create table workload_issuers (
  id text primary key, name text not null, kind text not null, issuer text not null unique, audience text, jwks text, jwks_uri text,
  longest_seconds integer not null, state text not null, changed_at integer not null);

-- What evidence is of which agent: selectors is a set of name=value.
create table trust_bindings (
  agent_id text not null references agents, issuer_id text not null references workload_issuers, selectors text not null, client_id text not null references clients,
  primary key (agent_id, issuer_id, selectors)) without rowid;

-- The last keys that an issuer published.
create table issuer_keys (issuer text primary key references workload_issuers, keys text not null, fetched_at integer not null);

-- Evidence belongs to the key that presented it first.
create table presented_evidence (digest text primary key, jkt text not null, expires_at integer not null) without rowid;
create index presented_evidence_by_expiry on presented_evidence (expires_at);

-- What an instance was attested by, and what it authenticates with.
alter table instances add column evidence text not null default 'private_key_jwt';
alter table instances add column evidence_digest text;
alter table instances add column jwk text;
alter table instances add column client_id text;

-- Classes of tools. Of two that are exclusive, one token never holds tools of both.
create table tool_classes (name text primary key, exclusive integer not null, changed_at integer not null);
