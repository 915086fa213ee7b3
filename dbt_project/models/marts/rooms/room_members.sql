-- Members of rooms, and what each did with the matched content in the thirty days after the match: a match was good when
-- people complete what they chose.
{{ config(
    grain='entity', entity='user_id', of=['int_room_members', 'int_content_uses'], key=['user_id', 'room_id'],
    tells=['user_id']
) }}

with members as (
    select members.*
    from {{ ref('int_room_members') }} as members
    join {{ touched_entities('user_id', ['int_room_members', 'int_content_uses']) }} as touched using (user_id)
),

uses as (
    select
        members.user_id,
        members.room_id,
        coalesce(bool_or(uses.completed_at > members.matched_at), false) as has_completed,
        coalesce(bool_or(uses.used_at > members.matched_at), false) as has_used
    from members
    join {{ ref('int_content_uses') }} as uses
        on members.user_id = uses.user_id
        and members.content_id = uses.content_id
        and uses.hour > members.matched_at - interval '1 hour'
        and uses.hour < members.matched_at + interval '30 days'
    group by 1, 2
)

select
    members.*,
    case
        when members.content_id is null then null
        when uses.has_completed then 'completed'
        when uses.has_used then 'used'
        else 'not used'
    end as later_use
from members
left join uses using (user_id, room_id)
