-- Who saw or took which personal fields of what, and when. Whatever shows them to somebody says so in ops.audit, with the
-- names of the fields as `personal` in its detail.
select
    audit.at,
    audit.actor,
    audit.action,
    audit.subject,
    fields.field,
    ops.number_of(audit.detail -> 'rows') as rows
from {{ source('ops', 'audit') }} as audit
cross join lateral jsonb_array_elements_text(
    case when jsonb_typeof(audit.detail -> 'personal') = 'array' then audit.detail -> 'personal' end
) as fields (field)
