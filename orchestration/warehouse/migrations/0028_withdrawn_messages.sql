-- A message about something that was over before anybody got it is not sent any more.

alter table ops.outbox
    drop constraint outbox_status_check,
    add constraint outbox_status_check check (status in ('pending', 'sent', 'dead', 'withdrawn'));

alter table ops.incident_history
    drop constraint incident_history_action_check,
    add constraint incident_history_action_check check (action in (
        'opened', 'reopened', 'told', 'withdrawn', 'acknowledged', 'escalated', 'snoozed', 'woken', 'silenced', 'commented',
        'resolved'
    ));

create index on ops.incident_messages (message_id);
