"""An import contract: these modules may import nothing foreign but what is listed."""

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class AllowedExternalsContract(Contract):
    """Modules under ``source`` import ``allowed``, the standard library and their own package.

    The built-in contracts can only forbid packages by name, so a new dependency would be let in.
    """

    source = fields.StringField()
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every import of every module."""
        del verbose
        allowed = {*map(str, self.allowed), *sys.stdlib_module_names, "orders"}  # type: ignore[call-overload]
        modules = {m for m in graph.modules if f"{m}.".startswith(f"{self.source}.")}
        broken = sorted(
            (module, imported)
            for module in modules
            for imported in graph.find_modules_directly_imported_by(module)
            if imported.split(".")[0] not in allowed
        )
        return ContractCheck(kept=bool(modules) and not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Say which."""
        for module, imported in check.metadata["broken"]:
            output.print_error(f"{module} imports {imported}")
