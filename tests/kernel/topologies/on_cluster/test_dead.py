"""The tests of tests/kernel/test_dead.py, on the Redis Cluster of this folder."""

from tests.kernel.test_dead import *  # noqa: F403
