-- Every index costs each event of each call. By its token an event is found only where the token was issued: what was done with it is in its task.
drop index audit_by_grant;
drop index audit_by_jti;
create index audit_by_issued on audit_events (jti) where type = 'token.issued' or type = 'instance.attested' or type = 'instance.renewed';
