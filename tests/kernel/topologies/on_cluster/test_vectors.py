"""The tests of tests/kernel/test_vectors.py, on the Redis Cluster of this folder."""

from tests.kernel.test_vectors import *  # noqa: F403
