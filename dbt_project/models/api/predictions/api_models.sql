select model_id, name, version, stage, verdict, share, metrics, load_id, data_hash, marks, code, libraries, seed, created_at
from {{ source('ml', 'models') }}
