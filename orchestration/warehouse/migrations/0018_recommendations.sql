-- What is recommended, what experiments say, and which prices would earn more. Each table holds what was said last.

create table ml.recommendations (
    kind text not null,                  -- what for whom: content, lessons, products, room_content, seller_products
    subject_id text not null,            -- a person, a room or a seller
    user_id text,                        -- the person that it concerns; of a room: nobody
    place integer not null check (place > 0),
    item_id text not null,
    category text,
    score double precision not null,
    source text not null check (source in ('similar', 'discovery', 'popular')),
    because text,                        -- the item of the subject's history that speaks most for it
    reason text not null,                -- one sentence
    model_id text references ml.models,  -- empty: only what is popular stands behind it
    load_id bigint not null,
    made_at timestamptz not null default clock_timestamp(),
    primary key (kind, subject_id, place)
);
create index on ml.recommendations (user_id);

create table ml.experiment_results (
    experiment text not null,
    goal text not null,
    window_seconds integer not null,
    measure text not null,               -- conversion_rate, value_per_user, value_per_conversion
    variant text not null,               -- compared with the first variant of the configuration
    day date not null,                   -- the look that decided, or the newest
    looks integer not null,
    users integer not null,
    information_rate double precision,
    control_mean double precision,
    variant_mean double precision,
    effect double precision,
    lo double precision,                 -- these hold at all looks together
    hi double precision,
    relative_effect double precision,
    statistic double precision,
    bound double precision,
    p_value double precision,
    sample_ratio_p_value double precision not null,
    decision text not null check (decision in ('ship', 'stop', 'keep running', 'cannot be told')),
    sentence text not null,
    load_id bigint not null,
    made_at timestamptz not null default clock_timestamp(),
    primary key (experiment, goal, window_seconds, measure, variant)
);

create table ml.price_recommendations (
    product_id text primary key,
    category text not null,
    currency text,
    elasticity double precision not null,
    elasticity_lo double precision not null,
    elasticity_hi double precision not null,
    promotion_effect double precision,
    price double precision,
    unit_cost double precision,
    lowest_price double precision,
    highest_price double precision,
    recommended_price double precision,
    recommended_lo double precision,
    recommended_hi double precision,
    gain_28d double precision,
    gain_28d_lo double precision,
    gain_28d_hi double precision,
    reason text,                         -- why nothing is recommended, where it is not
    model_id text not null references ml.models,
    load_id bigint not null,
    made_at timestamptz not null default clock_timestamp()
);
