"""The job and the sensor of the outbox, through Dagster."""

import dagster as dg

from orchestration.outbox.jobs import deliver_outbox, jobs
from orchestration.outbox.sensors import outbox_delivery, sensors

DEFINITIONS = dg.Definitions(jobs=jobs, sensors=sensors)


def asks(instance: dg.DagsterInstance) -> bool:
    return bool(outbox_delivery.evaluate_tick(dg.build_sensor_context(instance=instance)).run_requests)


def test_the_sensor_asks_while_mail_is_due_and_no_delivery_is_under_way(queue):
    with dg.DagsterInstance.ephemeral() as instance:
        assert not asks(instance)
        queue.add()
        assert asks(instance)
        run = instance.create_run_for_job(deliver_outbox, status=dg.DagsterRunStatus.STARTED)
        assert not asks(instance)
        instance.delete_run(run.run_id)
        queue.connection.execute("update ops.outbox set next_attempt_at = now() + interval '1 minute'")
        assert not asks(instance)


def test_the_job_sends_as_much_as_it_is_told(queue, smtp):
    for number in range(3):
        queue.add(f"number {number}")
    job = DEFINITIONS.resolve_job_def("deliver")
    with dg.DagsterInstance.ephemeral() as instance:
        config = {"ops": {"send_due_messages": {"config": {"limit": 2}}}}
        assert job.execute_in_process(instance=instance, run_config=config).success
        assert len(smtp.received) == 2
        assert job.execute_in_process(instance=instance).success
        assert len(smtp.received) == 3
