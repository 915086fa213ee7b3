-- What is told of an anomaly, of a room early in its life, and of behaviour unlike that of others.

alter table ml.anomalies
    add column direction text check (direction in ('up', 'down')),
    add column effect_size double precision,             -- the distance from `expected` in usual deviations
    add column explanation jsonb;                        -- of anomalies: {"segments": […], "moved_along": […]}

create table ml.room_scores (
    room_id text not null,
    as_of timestamptz not null,          -- the cut-off: nothing after it was used
    probability double precision not null check (probability between 0 and 1),
    reasons jsonb not null,              -- as in ml.churn_scores
    model_id text not null references ml.models,
    load_id bigint not null,
    made_at timestamptz not null default clock_timestamp(),
    primary key (room_id, model_id)
);

create table ml.unusual_behaviour (
    kind text not null check (kind in ('user', 'seller', 'room')),
    entity_id text not null,
    as_of timestamptz not null,
    score double precision not null check (score between 0 and 1),
    is_anomaly boolean not null,
    reasons jsonb not null,              -- [{"feature": …, "value": …, "usual": …, "effect_size": …}], furthest first
    load_id bigint not null,
    made_at timestamptz not null default clock_timestamp(),
    primary key (kind, entity_id)
);
