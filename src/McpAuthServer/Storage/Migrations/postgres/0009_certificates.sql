-- Who a client's certificate is of, as parameter=value; thumbprints of its own certificates, as a JSON array; whether its tokens are bound to the one it shows.
alter table clients add column certificate_subject text;
alter table clients add column certificates text not null default '[]';
alter table clients add column binds_to_certificate bigint not null default 0;
-- Thumbprint of the certificate that a public client's line is bound to.
alter table refresh_families add column certificate text;
