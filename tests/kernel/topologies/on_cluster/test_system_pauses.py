"""The tests of tests/kernel/test_system_pauses.py, on the Redis Cluster of this folder."""

from tests.kernel.test_system_pauses import *  # noqa: F403
