"""Which media jobs a run has."""

import random

from tests.faults.media.samples import SAMPLES
from tests.faults.plan import Media

UPLOADED = 0.35
"""Part of the jobs whose source is uploaded, where that is possible."""


def media_job(chance: random.Random) -> Media:
    """One job of the product."""
    name = chance.choices(list(SAMPLES), [sample.weight for sample in SAMPLES.values()])[0]
    sample = SAMPLES[name]
    uploaded = sample.uploads and chance.random() < UPLOADED
    return Media(
        sample=name,
        format=chance.choice(sample.formats),
        how="upload" if uploaded else "address",
        ends=sample.ends,
    )
