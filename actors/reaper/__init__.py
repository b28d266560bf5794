"""reaper: ends what is over. Any number of reapers may run; none of them needs the others.

service     the passes over every partition, each second
continuity  whether this reaper has heard of Redis without a gap, the condition for reaping
collector   folders in the work and result areas that no job needs
uploads     uploads that have expired
"""

from actors.reaper.service import Reaper

__all__ = ["Reaper"]
