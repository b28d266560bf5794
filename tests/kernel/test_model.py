"""Random histories of workers, submitters and reapers, replayed against the model and the scripts."""

from hypothesis.stateful import run_state_machine_as_test

from tests.kernel.histories import Histories, machine_settings


def test_random_histories(redis_url: str) -> None:
    Histories.url = redis_url
    run_state_machine_as_test(Histories, settings=machine_settings(100, 40))
