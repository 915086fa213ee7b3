-- Weekly retention is told by api.retention, of grain week, from user_states: nothing reads these any more.
drop view if exists api.retention_weekly;
drop materialized view if exists views.retention_weekly;
drop table if exists marts.user_weekly;
delete from ops.tidemarks
where table_name in ('views.retention_weekly', 'marts.user_weekly', 'gate:marts.user_weekly');
delete from ops.definitions where relation in ('views.retention_weekly', 'marts.user_weekly', 'api.retention_weekly');
