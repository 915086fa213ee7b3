-- What each experiment says, once its gate has passed. Counts beside it: api.experiments.
{{ config(key=['experiment', 'goal', 'window_seconds', 'measure', 'variant']) }}

select * from {{ source('ml', 'experiment_results') }}
