"""Guards of what is published: verified bytes, whole, in a folder of its own."""

from tests.faults.mutations.mutation import Mutation

LOCAL, STORE = "actors/storage/local.py", "actors/store.py"
STAGES, FILES = "tests/actors/test_stages.py", "tests/actors/test_storage.py"

MUTATIONS = (
    Mutation(
        name="copy-not-move",
        guard="publishing leaves the source where it is, so that a repeat finds it",
        file=LOCAL,
        old="            temporary.hardlink_to(source)\n",
        new="            source.rename(temporary)\n",
        tests=(f"{FILES}::test_links_share_bytes_and_never_move",),
    ),
    Mutation(
        name="whole-or-not-at-all",
        guard="a small file is there whole or not at all",
        file=LOCAL,
        old='    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")\n    try:\n'
        '        with temporary.open("xb") as file:\n',
        new='    temporary = path\n    try:\n        with temporary.open("wb") as file:\n',
        tests=(f"{FILES}::test_a_write_that_fails_leaves_what_was_there",),
    ),
    Mutation(
        name="folder-goes-at-once",
        guard="a reader sees all of a folder or nothing",
        file=LOCAL,
        old="            path.rename(doomed)\n",
        new="            doomed = path\n",
        tests=(f"{FILES}::test_a_folder_disappears_at_once_and_its_rest_is_swept",),
    ),
    Mutation(
        name="keys-stay-below-the-root",
        guard="no key leads out of the storage",
        file=LOCAL,
        old="return self.root / check_key(key)",
        new="return self.root / key",
        tests=(f"{FILES}::test_storage_knows_no_place_outside_its_root",),
    ),
    Mutation(
        name="manifest-last",
        guard="nothing is published before every file of it is there",
        file=STORE,
        old="        for number, output in enumerate(given.outputs):\n            await self._check(output)\n",
        new='        await self._storage.write_atomic(f"{folder}/{MANIFEST}", b"{}")\n'
        "        for number, output in enumerate(given.outputs):\n            await self._check(output)\n",
        tests=(f"{STAGES}::test_store_writes_no_manifest_before_every_file_is_there",),
    ),
    Mutation(
        name="digest-before-publish",
        guard="what is published is what was verified",
        file=STORE,
        old="            await self._check(output)\n",
        new="",
        tests=(f"{STAGES}::test_store_publishes_nothing_that_is_not_what_was_verified",),
    ),
    Mutation(
        name="a-folder-for-each-lease",
        guard="two leases never write the same path",
        file=STORE,
        old="folder = out_folder(task.job, task.fence)",
        new='folder = out_folder(task.job, "0.same")',
        tests=(f"{STAGES}::test_two_leases_of_store_never_write_the_same_path",),
    ),
)
