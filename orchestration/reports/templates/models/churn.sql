-- How many people are likely to stay away.
-- needs api.churn_scores
select count(*) as scored, count(*) filter (where probability >= 0.5) as likely
from api.churn_scores
having count(*) > 0
