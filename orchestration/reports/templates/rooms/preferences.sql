-- What all people together like.
select category as name, judgements, preference
from api.preferences
where scope = 'all' and judgements > 0
order by preference desc, category
