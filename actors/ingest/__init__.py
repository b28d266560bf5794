"""ingest: decides whether a submission can be worked on, and what becomes of it.

handler    the stage: one source
batch      several sources: one child for each, and what came of them
"""

from actors.ingest.handler import Ingest

__all__ = ["Ingest"]
