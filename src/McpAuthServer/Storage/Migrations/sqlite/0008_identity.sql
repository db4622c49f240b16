-- Where a person may be sent after signing out: a set of words. introspects: the tool server whose own client this is, to ask about tokens with.
alter table clients add column post_logout_redirect_uris text not null default '[]';
alter table clients add column introspects text references tool_servers;
