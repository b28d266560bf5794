"""Whether this installation can transcode at all, said at once instead of by a job that waits."""

from gateway.command.failure import CommandFailure, ExitCode


def require_native() -> None:
    """Raise `CommandFailure` when the native program is missing."""
    # Imported here because it brings asyncio along, which takes as long as starting an embedded Redis twice.
    from actors.native import find_native

    if find_native() is None:
        raise CommandFailure(
            ExitCode.UNREACHABLE,
            "NATIVE_MISSING",
            "The program reelway-transcode is missing: Reelway was installed without a Rust toolchain.",
            "Install Rust (rustup.rs), then install Reelway again with REELWAY_NATIVE=require.",
        )
