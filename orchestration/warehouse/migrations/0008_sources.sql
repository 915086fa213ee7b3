-- What could not be read of the sources that are looked at: a file that is broken, a server that does not answer. A row
-- stays until what it names was read, or is gone.
create table ops.source_failures (
    source text not null,
    locator text not null,               -- what could not be read; the source's own name where it is the whole source
    sentence text not null,              -- what is wrong, and what to do
    since timestamptz not null default clock_timestamp(),
    seen_at timestamptz not null default clock_timestamp(),
    primary key (source, locator)
);
