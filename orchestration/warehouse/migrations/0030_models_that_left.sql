-- The hours of engagement and of who learned are read from what they were made of. Nothing builds these tables any more:
-- marks that stand still would hold retention at them for good.
drop table if exists marts.engagement_hourly;
drop table if exists intermediate.int_lesson_hours;
delete from ops.tidemarks
where table_name in ('marts.engagement_hourly', 'intermediate.int_lesson_hours', 'gate:marts.engagement_hourly');
delete from ops.definitions where relation in ('marts.engagement_hourly', 'intermediate.int_lesson_hours');

-- The category is of the key now, also of hours whose events are gone: there it is empty where there was none.
do $$
begin
    if to_regclass('intermediate.int_content_item_hours') is not null then
        update intermediate.int_content_item_hours set category = '' where category is null;
    end if;
end
$$;
