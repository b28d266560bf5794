"""Why an embedded cluster cannot run."""


class CannotStart(Exception):
    """The embedded cluster cannot run on this machine or in this data directory.

    `code` is the stable name of the reason, `message` says what happened and why, `suggestion` what to do about it.
    """

    def __init__(self, code: str, message: str, suggestion: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.suggestion = suggestion
