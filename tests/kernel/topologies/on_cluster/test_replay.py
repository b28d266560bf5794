"""The tests of tests/kernel/test_replay.py, on the Redis Cluster of this folder."""

from tests.kernel.test_replay import *  # noqa: F403
