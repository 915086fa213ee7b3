-- Content that is wanted more, or less, in the seven newest complete days than in the seven before, beside what all
-- content is: views and votes in favour. Rising and falling are said with 95 % confidence, from ten uses on.
{{ config(key=['content_id']) }}

with as_of as (
    select max(day) as day from {{ ref('views_metric_daily') }} where is_final
),

uses as (
    select day, content_id, category, views, 0 as votes, 0 as votes_in_favour
    from {{ ref('content_item_daily') }}
    union all
    select day, content_id, category, 0, votes, votes_in_favour
    from {{ ref('room_content_daily') }}
),

contents as (
    select
        as_of.day as as_of_day,
        uses.content_id,
        max(uses.category) as category,
        sum(uses.views)::bigint as views,
        sum(uses.votes)::bigint as votes,
        sum(uses.votes_in_favour)::bigint as votes_in_favour,
        coalesce(sum(uses.views + uses.votes_in_favour) filter (where uses.day > as_of.day - 7), 0) as wanted,
        coalesce(sum(uses.views + uses.votes_in_favour) filter (where uses.day <= as_of.day - 7), 0) as previous_wanted
    from uses
    join as_of on uses.day > as_of.day - 14 and uses.day <= as_of.day
    group by 1, 2
),

shares as (
    select
        *,
        sum(wanted) over () / nullif(sum(wanted + previous_wanted) over (), 0) as share
    from contents
),

tested as (
    select
        *,
        (wanted - (wanted + previous_wanted) * share)
            / nullif(sqrt((wanted + previous_wanted) * share * (1 - share)), 0) as z
    from shares
)

select
    content_id,
    category,
    wanted,
    previous_wanted,
    views,
    votes,
    votes_in_favour,
    case
        when wanted + previous_wanted < 10 or z is null then 'not enough data'
        when z >= 1.96 then 'rising'
        when z <= -1.96 then 'falling'
        else 'steady'
    end as direction,
    round(z, 6) as z,
    as_of_day
from tested
