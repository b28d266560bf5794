"""The kinds of runs that have a name."""

import msgspec

from tests.faults.plan import Profile

SHORT = Profile(name="short", jobs=120, chaos_s=30.0, faults_per_s=1.4)
SHORT_CLUSTER = Profile(
    name="short_cluster", jobs=100, chaos_s=20.0, faults_per_s=1.4, topology="cluster", ffmpeg="none", media_share=0.0
)
"""Both in the normal tests."""
LONG = Profile(name="long", jobs=500, chaos_s=75.0, faults_per_s=1.4)
"""What the figures of docs/guarantees.md are made of."""
ALWAYS = msgspec.structs.replace(LONG, name="always", fsync="always")
CLUSTER = msgspec.structs.replace(LONG, name="cluster", topology="cluster")
REAL_FFMPEG = msgspec.structs.replace(LONG, name="real_ffmpeg", ffmpeg="real")
KERNEL = msgspec.structs.replace(LONG, name="kernel", ffmpeg="none", media_share=0.0)
"""Scripted jobs alone: no ffmpeg is needed, and more jobs fit into the same time."""

PROFILES = {profile.name: profile for profile in (SHORT, SHORT_CLUSTER, LONG, ALWAYS, CLUSTER, REAL_FFMPEG, KERNEL)}
