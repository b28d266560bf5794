"""The tests of tests/kernel/test_system_limits.py, on the Redis Cluster of this folder."""

from tests.kernel.test_system_limits import *  # noqa: F403
