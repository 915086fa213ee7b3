-- Every verdict of a gate, with a sentence for each expectation that was missed.
select
    gate_result_id, table_name, run_id, load_id, status, hours_checked, rows_checked, evaluated_at,
    (
        select string_agg(result ->> 'says', '; ' order by position)
        from jsonb_array_elements(results) with ordinality as missed (result, position)
        where not (result ->> 'success')::boolean
    ) as missed
from {{ source('ops', 'gate_results') }}
