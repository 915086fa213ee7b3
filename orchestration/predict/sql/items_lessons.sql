-- All lessons that were ever completed, with their skill.
select lesson_id as item_id, coalesce(max(skill), 'unknown') as category
from marts.lessons
where lesson_id is not null
group by 1
order by 1
