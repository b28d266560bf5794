"""From an error to what the kernel does about it."""

import errno
import json

import pytest
import structlog

from actors.failures import Coded, TablePolicy
from actors.kernel import Done, Permanent, StageFailure, Stalled, Task, Throttled, Transient
from actors.media.errors import MediaError
from actors.media.task import JobSpec
from tests.actors.tasks import make_task

POLICY = TablePolicy({"fetch": 6, "store": 6})


class Failing:
    """A handler that fails as it is told."""

    stage = "fetch"

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def handle(self, task: Task) -> Done:
        raise self.error


async def failure_of(error: Exception) -> StageFailure:
    task, _ = make_task("fetch", JobSpec(source="", format=""))
    with pytest.raises(StageFailure) as caught:
        await Coded(Failing(error)).handle(task)
    return caught.value


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (MediaError("NET_TEMP", "detail"), Transient, "NET_TEMP"),
        (MediaError("NOT_MEDIA"), Permanent, "NOT_MEDIA"),
        (MediaError("RATE_LIMITED", retry_after_s=9.0), Throttled, "RATE_LIMITED"),
        (MediaError("STALLED"), Stalled, "STALLED"),
        (MediaError("NO_SUCH_CODE"), Transient, "INTERNAL"),
        (OSError(errno.ENOSPC, "No space left on device"), Throttled, "DISK_FULL"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Throttled, "DISK_FULL"),
        (OSError(errno.EFBIG, "File too large"), Transient, "FILE_TOO_LARGE"),
        (FileNotFoundError(errno.ENOENT, "gone"), Transient, "INPUT_MISSING"),
        (OSError(errno.EIO, "broken"), Transient, "STORE_TEMP"),
    ],
)
async def test_errors_with_a_code_become_the_kernels_failures(
    error: Exception, kind: type[StageFailure], code: str
) -> None:
    failure = await failure_of(error)
    assert type(failure) is kind
    assert failure.code == code


async def test_other_exceptions_pass_as_the_bugs_they_are() -> None:
    task, _ = make_task("fetch", JobSpec(source="", format=""))
    with pytest.raises(ZeroDivisionError):
        await Coded(Failing(ZeroDivisionError())).handle(task)
    decided = POLICY.decide("fetch", 0, ZeroDivisionError("secret of the server"))
    assert (decided.cls, decided.code, decided.budget) == ("transient", "INTERNAL", 2)
    assert b"secret" not in decided.error + decided.reason


async def test_exact_words_reach_the_user_and_details_do_not() -> None:
    error = MediaError(
        "QUALITY_INVALID", "internal detail", message="FLAC takes no bit rate.", suggestion="Leave it out."
    )
    decided = POLICY.decide("fetch", 0, await failure_of(error))
    assert json.loads(decided.error) == {
        "code": "QUALITY_INVALID",
        "message": "FLAC takes no bit rate.",
        "suggestion": "Leave it out.",
        "retryable": False,
    }
    assert b"internal detail" not in decided.error + decided.reason


def test_budgets_come_from_the_stage_unless_the_code_has_its_own() -> None:
    assert POLICY.decide("fetch", 0, Transient("NET_TEMP")).budget == 6
    assert POLICY.decide("fetch", 0, Transient("HOST_UNKNOWN")).budget == 2


def test_pauses_grow_with_the_attempt_and_honour_retry_after() -> None:
    for attempt, least_ms, most_ms in ((0, 1000, 2000), (1, 2000, 4000), (3, 8000, 16_000)):
        assert least_ms <= POLICY.decide("fetch", attempt, Transient("NET_TEMP")).delay_ms <= most_ms
    assert POLICY.decide("fetch", 0, Throttled("RATE_LIMITED", retry_after_s=4000.0)).delay_ms == 4_000_000


def test_the_pause_of_a_full_disk_grows_with_the_time_for_which_it_is_full() -> None:
    now_s = 0.0
    policy = TablePolicy({"fetch": 6}, clock=lambda: now_s)
    for now_s, least_ms, most_ms in ((0, 2500, 5000), (1, 2500, 5000), (12, 6000, 12_000), (60, 15_000, 30_000),
                                     (121, 2500, 5000)):  # fmt: skip
        for attempt in (0, 5):
            assert least_ms <= policy.decide("fetch", attempt, Throttled("DISK_FULL")).delay_ms <= most_ms, now_s


@pytest.mark.parametrize(
    ("failure", "cls"),
    [
        (Transient("NET_TEMP"), "transient"),
        (Throttled("RATE_LIMITED"), "throttled"),
        (Permanent("NOT_MEDIA"), "permanent"),
        (Stalled("STALLED"), "stalled"),
    ],
)
def test_the_class_is_the_one_that_was_raised(failure: StageFailure, cls: str) -> None:
    assert POLICY.decide("fetch", 0, failure).cls == cls


def test_what_an_operator_must_fix_is_an_error_in_the_log() -> None:
    with structlog.testing.capture_logs() as lines:
        POLICY.decide("fetch", 1, Transient("OUTPUT_INVALID", "a defect"))
        POLICY.decide("fetch", 0, Permanent("NOT_MEDIA"))
    assert [(line["event"], line["log_level"], line["code"]) for line in lines] == [
        ("stage.needs_operator", "error", "OUTPUT_INVALID")
    ]


def test_many_jobs_that_wait_for_one_disk_are_told_once_a_minute() -> None:
    now_s = 0.0
    policy = TablePolicy({"fetch": 6}, clock=lambda: now_s)
    told: list[float] = []
    for now_s in (0, 1, 30, 59, 60, 61, 125):
        with structlog.testing.capture_logs() as lines:
            policy.decide("fetch", 0, Throttled("DISK_FULL"))
        told += [now_s for line in lines if line["event"] == "stage.needs_operator"]
    assert told == [0, 60, 125]
