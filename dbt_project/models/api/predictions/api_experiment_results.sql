select * from {{ ref('views_experiment_results') }}
