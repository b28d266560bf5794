"""reaper: ends what is over. Any number of reapers may run; none of them needs the others.

service       the passes over each partition, about one a second
watch         listening to a partition's primary, the condition for ending leases there
continuity    the rule behind it, without I/O
duty          what a duty is; each of these is one, in the order of a pass:
  leases        leases that have run out
  delays        delayed and scheduled jobs whose time has come
  deadlines     jobs past their deadline, ended jobs past their retention
  repairs       what streams and sets hold, compared with the job hashes; work in lanes without a worker
  pauses        every partition's copy of the pauses
  consumers     names of gone workers in the inboxes (inboxes: which there are)
  survey        the figures an operator looks at
installation  what is looked at once for all partitions: workers, lanes, pauses
lanes         which lanes have had no live worker for long
sweeps        files of jobs that were deleted
collector     folders in the work and result areas that no job needs
uploads       uploads that have expired
"""

from actors.reaper.service import Reaper

__all__ = ["Reaper"]
