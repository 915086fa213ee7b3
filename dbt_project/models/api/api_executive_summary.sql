-- Days that a failing gate holds back are about to change: with one of them in it, a comparison is not final.
select
    metric, system, description, unit, good_direction, segment, as_of_day, value_7d, previous_7d, change_rate,
    value_day,
    is_final and not exists (
        select from {{ source('ops', 'held_hours') }} as held
        where ops.day_of(held.hour, ops.timezone()) > summary.as_of_day - 14
          and ops.day_of(held.hour, ops.timezone()) <= summary.as_of_day
    ) as is_final
from {{ ref('views_executive_summary') }} as summary
