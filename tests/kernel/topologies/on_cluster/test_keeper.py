"""The tests of tests/kernel/test_keeper.py, on the Redis Cluster of this folder."""

from tests.kernel.test_keeper import *  # noqa: F403
