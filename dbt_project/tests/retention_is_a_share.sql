-- Of a cohort, never more come back than it has.
select * from {{ ref('views_retention') }} where retention_rate not between 0 and 1 or periods_later < 0
