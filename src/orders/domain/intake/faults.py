"""Faults: broken rules and their places."""

from msgspec import Struct


class Fault(Struct, frozen=True):
    """A broken rule; ``path`` starts at the root of the document, ``rule`` is what is expected."""

    path: tuple[str | int, ...]
    rule: str

    @property
    def json_path(self) -> str:
        """The place as a JSONPath, such as ``$.items[0].price``."""
        return "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.path)

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer (RFC 6901), such as ``/items/0/price``."""
        return "".join("/" + str(p).replace("~", "~0").replace("/", "~1") for p in self.path)

    def under(self, *prefix: str | int) -> "Fault":
        """Return the fault for a document that contains this one at ``prefix``."""
        return Fault((*prefix, *self.path), self.rule)

    def __str__(self) -> str:
        return f"{self.json_path}: {self.rule}"
