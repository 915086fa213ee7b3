-- The tables that a failing gate holds back; the sentence names the table and what was found.
select
    table_name,
    since,
    load_id,
    passed_load_id,
    coalesce(sentence, table_name || ': no reason was recorded') as sentence
from ops.held_tables
order by since, table_name
