-- Who saw or took personal data in the period.
select at, actor, action, subject, field, rows
from api.personal_data_access
where ops.day_of(at, ops.timezone()) between %(first_day)s and %(last_day)s
order by at desc, actor, subject, field
