"""The benchmark completes every job in both halves and says what it measured."""

from bench.throughput import markdown, measure


def test_a_small_run_reports_both_halves() -> None:
    report = measure(jobs=200, rounds=1, partitions=2, program=None)
    (round_,) = report.rounds
    for half in (round_.actors, round_.calls):
        assert half.jobs_per_s > 0
        assert half.redis_cpu_ms_per_job > 0
        assert half.take_batch >= 1
    text = markdown(report)
    assert "| actors |" in text
    assert report.machine.processor in text
