select model_id, name, version, stage, metrics, load_id, created_at
from {{ source('ml', 'models') }}
