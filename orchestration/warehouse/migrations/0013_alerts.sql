-- The life of an incident, who was told what of it, and channels beside mail.

alter table ops.incidents
    drop constraint incidents_status_check,
    add constraint incidents_status_check check (status in ('open', 'acknowledged', 'resolved')),
    add column relation text,            -- of a data incident: the table that cannot be trusted, nor what is made of it
    add column owner text not null default '',
    add column evidence jsonb not null default '{}',   -- the chart's data, contributions of segments, what coincided
    add column openings integer not null default 1,    -- more than one: it was opened again soon after it resolved
    add column told_at timestamptz,      -- since when people know and it is theirs: what escalation counts from
    add column escalations integer not null default 0, -- the steps that were taken
    add column snoozed_until timestamptz,
    add column is_held boolean not null default false,    -- too much was told to somebody: it waits to be told together
    add column is_settled boolean not null default false; -- nothing more will be told of it
update ops.incidents set is_settled = true;
create index on ops.incidents (incident_id) where not is_settled;
create index on ops.incidents (fingerprint, incident_id);

create table ops.incident_history (
    history_id bigint generated always as identity primary key,
    incident_id bigint not null references ops.incidents,
    at timestamptz not null,
    actor text not null,                 -- a person's address, or 'tidemark'
    action text not null check (action in (
        'opened', 'reopened', 'told', 'acknowledged', 'escalated', 'snoozed', 'woken', 'silenced', 'commented', 'resolved'
    )),
    detail text not null default ''
);
create index on ops.incident_history (incident_id, history_id);

-- What is told of incidents whose fingerprint begins so is held back meanwhile.
create table ops.silences (
    silence_id bigint generated always as identity primary key,
    fingerprint text not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null check (ends_at >= starts_at),
    actor text not null,
    reason text not null default ''
);
create index on ops.silences (ends_at);

-- Each message about an incident to one receiver, who is a mail address or 'channel:name'.
create table ops.incident_messages (
    told_id bigint generated always as identity primary key,
    incident_id bigint not null references ops.incidents,
    opening integer not null,            -- which of its openings it was about
    receiver text not null,
    event text not null check (event in ('opened', 'over', 'reopened', 'escalated', 'reminded', 'resolved')),
    step integer not null default 0,     -- of the escalation
    message_id text not null,
    thread_id text not null,             -- the message that began its thread
    at timestamptz not null
);
create index on ops.incident_messages (incident_id, receiver);
create index on ops.incident_messages (receiver, at);
create index on ops.incident_messages (thread_id);

alter table ops.outbox
    alter column mime drop not null,
    add column channel text not null default 'mail',   -- or one of `channels` in config/alerts.yml
    add column payload jsonb,            -- of any other channel, which knows how to word it
    add column after text,               -- the message that has to be delivered before it
    add constraint mail_or_payload check ((channel = 'mail') = (mime is not null) and (mime is null) <> (payload is null));

-- A receiver that said 410 wants nothing any more, until its address in config/alerts.yml is another one.
create table ops.stopped_channels (
    channel text primary key,
    address_hash text not null,
    reason text not null,
    since timestamptz not null default clock_timestamp()
);
