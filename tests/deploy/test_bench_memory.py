"""After its retention a job leaves nothing in Redis."""

from bench.memory_states import Measurement

SLACK_BYTES = 200_000
"""Tables of the server that shrink later, buffers of connections."""


async def test_nothing_of_finished_jobs_is_left_after_retention(redis_url: str) -> None:
    measurement = Measurement(redis_url, 500, None)
    await measurement.open()
    left = await measurement.after_retention()
    await measurement.close()
    assert (left.job_keys, left.other_bytes) == (0, 0)
    assert left.full_bytes - left.base_bytes > 500 * 2_000
    assert left.rest_bytes - left.base_bytes < left.feed_bytes + left.inbox_bytes + SLACK_BYTES
