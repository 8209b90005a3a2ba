"""`${NAME}` and `${NAME:-default}` in a spec's strings, read from the environment; `$${` stands for a plain `${`.

What comes from the environment enters fingerprints and manifests like anything else in a spec, and both are written to
disk. A variable that looks like a secret may therefore stand only where neither looks: in a model's key and address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.spec.composer import Keys
from engine.spec.problems import Problems
from engine.spec.values import BROKEN

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")
_SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")


class FromEnvironment(str):
    """A string that holds the value of a variable; where a number or a boolean is wanted it is read as YAML."""

    __slots__ = ()


class Reader:
    """Puts the environment into the strings of a document, and reports what can't be put in."""

    def __init__(self, problems: Problems, environ: Mapping[str, str]) -> None:
        self._problems = problems
        self._environ = environ

    def read(self, value: Any, path: Keys = ()) -> Any:
        """The value with its references replaced; `BROKEN` where one can't be."""
        if isinstance(value, dict):
            return {key: self.read(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.read(item, (*path, i)) for i, item in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return self._string(value, path)
        return value

    def _string(self, text: str, path: Keys) -> Any:
        matches = list(_REFERENCE.finditer(text))
        values = [self._value(match, text, path) for match in matches]
        if None in values:
            return BROKEN
        rest = iter(values)
        filled = _REFERENCE.sub(lambda _: str(next(rest)), text)
        return FromEnvironment(filled) if any(match["name"] for match in matches) else filled

    def _value(self, match: re.Match[str], text: str, path: Keys) -> str | None:
        """What a reference stands for; None after a problem."""
        name, default = match["name"], match["default"]
        if match[0] == "$${":
            return "${"
        if name is None:
            problem = "not a reference to the environment: write ${NAME} or ${NAME:-default}, or $${ for a plain ${"
        elif _SECRET.search(name.upper()) and not may_hold_secret(path):
            problem = (
                f"{name} has a secret's name, and this value would be written to fingerprints and manifests; "
                "read it in a model's api_key, or rename the variable if it holds no secret"
            )
        else:
            value = self._environ.get(name)
            if default is not None:
                return value or str(default)  # as in a shell, the default stands in for an empty value, too
            if value is not None:
                return value
            problem = f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}"
        self._problems.add(path, problem, place=self._problems.within(path, text, match.start()))
        return None


def may_hold_secret(path: Keys) -> bool:
    """Whether the value at `path` is kept out of fingerprints, manifests and messages: a model's key and address."""
    match path:
        case ("rounds", "change", _, *inside) | ("rounds", *inside) if inside[:1] == ["models"]:
            return may_hold_secret(tuple(inside))
        case ("models", _, "api_key" | "base_url") | ("run", "endpoints", _):
            return True
    return False
