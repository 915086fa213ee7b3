-- Score, engagement and velocity of learners, with trends and with what is unusual for the learner. An action where
-- something is.
select
    *,
    case
        when not is_unusual then null
        when measure = 'score' and shift < 0 then 'Look at the newest lessons together; go back to easier ones for a while.'
        when measure = 'score' then 'Offer harder lessons.'
        when measure = 'engagement' and shift < 0 then 'Ask what keeps them, and suggest one short lesson a day.'
        when measure = 'engagement' then 'Praise it, and look that it does not become too much.'
        when measure = 'velocity' and shift < 0 then 'Look where they get stuck, and offer help there.'
        when measure = 'velocity' then 'See whether they still learn: lessons may be rushed, or too easy.'
    end as action
from {{ ref('views_learner_measures') }}
