"""The tests of tests/kernel/test_actor_stops.py, on the Redis Cluster of this folder."""

from tests.kernel.test_actor_stops import *  # noqa: F403
