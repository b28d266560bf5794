"""The tests of tests/kernel/test_system_presence.py, on the Redis Cluster of this folder."""

from tests.kernel.test_system_presence import *  # noqa: F403
