-- The days of entities are kept as a tally of intermediate.int_entities_daily: nothing builds this table any more.
drop table if exists intermediate.int_entities_quarterly;
delete from ops.tidemarks where table_name = 'intermediate.int_entities_quarterly';
delete from ops.definitions where relation = 'intermediate.int_entities_quarterly';
drop view ops.touched_quarters;

-- What read people's states by their date reads their tally.
drop index if exists marts.user_states_grain_start_date_idx;
