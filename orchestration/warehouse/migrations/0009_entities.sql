-- People and things whose rows changed in a table that others are built from by entity: learners, rooms, products,
-- sellers. A build of such a table computes these again and no others.
create table ops.changed_entities (
    load_id bigint not null,             -- up to which the table was built when it changed
    model text not null,                 -- of dbt
    entity text not null,                -- the column that names them: user_id, room_id, …
    name text not null,
    primary key (load_id, model, entity, name)
);

create view ops.touched_entities as
select distinct model, entity, name
from ops.changed_entities
where load_id > ops.build_setting('after') and load_id <= ops.build_setting('up_to');
