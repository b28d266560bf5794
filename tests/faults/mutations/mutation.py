"""What a mutation is: one guard, and the text that removes it."""

from pathlib import Path

import msgspec


class WrongText(Exception):
    """The text that a mutation removes is not in its file exactly once: the guard has changed."""


class Mutation(msgspec.Struct, frozen=True):
    """One guard removed. The tests are those that must notice."""

    name: str
    guard: str
    """What it protects, as one clause."""
    file: str
    """Relative to the checkout."""
    old: str
    """Is in the file exactly once."""
    new: str
    tests: tuple[str, ...]
    """Ids of pytest, or `native/….rs::name` for a test of cargo. One of them must go red."""

    @property
    def native(self) -> bool:
        """Whether it is of the Rust half, whose tests cargo runs."""
        return self.file.startswith("native/")

    def mutated(self, checkout: Path) -> str:
        """The file without the guard. Raises WrongText."""
        text = (checkout / self.file).read_text("utf-8")
        found = text.count(self.old)
        if found != 1:
            raise WrongText(f"{self.name}: the text is {found} times in {self.file}")
        return text.replace(self.old, self.new)
