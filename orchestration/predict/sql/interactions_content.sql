-- What people who agree to be learned from used, rated or voted for.
-- Seen counts a half, completed or voted for one, rated r of five stars (r / 4)².
with newest as (
    select (max(day) + 1)::timestamp at time zone ops.timezone() as ends_at
    from api.metric_daily
    where is_final and segment = 'all'
),

used as (
    select
        uses.user_id,
        uses.content_id,
        case
            when sum(uses.ratings) > 0 then power(sum(uses.rating_sum) / sum(uses.ratings) / 4, 2)
            when sum(uses.completions) > 0 then 1
            else 0.5
        end as weight,
        max(uses.hour) as at
    from intermediate.int_content_uses as uses
    join newest on uses.hour < newest.ends_at
    group by 1, 2
),

voted as (
    select votes.user_id, votes.content_id, 1 as weight, max(votes.occurred_at) as at
    from intermediate.int_room_events as votes
    join newest on votes.occurred_at < newest.ends_at
    where votes.event_type = 'vote_cast' and votes.is_in_favour and votes.user_id is not null
        and votes.content_id is not null
    group by 1, 2
)

select user_id, content_id as item_id, greatest(max(weight), 0.05)::double precision as weight, max(at) as at
from (select * from used union all select * from voted) as evidence
where user_id not in (select user_id from ops.without_consent where purpose = 'models' and until is null)
group by 1, 2
order by 1, 2
