-- What becomes of an approved tool whose definition changes: hold (it drifts) or accept (it is pinned anew).
alter table tools add column on_change text not null default 'hold';

-- Developer mode: what guards of the tool server report is approved at once.
alter table tool_servers add column development bigint not null default 0;
