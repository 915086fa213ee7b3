-- A message about something that was over before anybody got it is not sent any more.

alter table ops.outbox
    drop constraint outbox_status_check,
    add constraint outbox_status_check check (status in ('pending', 'sent', 'dead', 'withdrawn'));
create index on ops.incident_messages (message_id);
