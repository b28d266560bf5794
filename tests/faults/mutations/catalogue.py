"""All mutations, in the order in which they are shown."""

from tests.faults.mutations.guards import (
    client,
    clients,
    ends,
    families,
    gateway,
    native,
    reaper,
    storage,
    taking,
    tenants,
    upkeep,
)
from tests.faults.mutations.mutation import Mutation

AREAS: dict[str, tuple[Mutation, ...]] = {
    "The end of a lease": ends.MUTATIONS,
    "Taking and waiting": taking.MUTATIONS,
    "Parents and children": families.MUTATIONS,
    "The reaper's verbs": upkeep.MUTATIONS,
    "The reaper": reaper.MUTATIONS,
    "The Python worker": clients.MUTATIONS,
    "Publishing": storage.MUTATIONS,
    "Watching": gateway.MUTATIONS,
    "Watching many": tenants.MUTATIONS,
    "The client": client.MUTATIONS,
    "The Rust half": native.MUTATIONS,
}
MUTATIONS = tuple(mutation for area in AREAS.values() for mutation in area)
BY_NAME = {mutation.name: mutation for mutation in MUTATIONS}
