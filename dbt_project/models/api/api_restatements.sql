select * from {{ source('marts', 'restatements') }}
