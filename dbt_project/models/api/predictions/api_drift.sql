-- Each input of a model and its score, beside what it learned from: newest last.
select drift.*, models.name
from {{ source('ml', 'drift') }} as drift
join {{ source('ml', 'models') }} as models using (model_id)
