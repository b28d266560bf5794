"""The tests of tests/kernel/test_actor.py, on the Redis Cluster of this folder."""

from tests.kernel.test_actor import *  # noqa: F403
