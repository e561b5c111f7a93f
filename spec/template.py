"""Path templates of deliveries: a closed set of variables, rendered from the export and its window, never from a clock.

A rendered path is relative, stays below the store's folder, and is a name that every file system takes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

WINDOW = frozenset({"partition", "date", "time", "datetime"})
"""Variables that differ between windows: which of them are enough is said by `tells_windows_apart`."""
DAILY = frozenset({"day", "week", "month"})
VARIABLES = WINDOW | {"export", "timezone", "tenant", "generation", "operation", "part", "parts"}

_VARIABLE = re.compile(r"\{([^{}]*)\}")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
MAX_BYTES = 200


def variables(template: str) -> set[str]:
    """The variables that a template uses."""
    return set(_VARIABLE.findall(template))


def tells_windows_apart(template: str, cadence: str) -> bool:
    """Whether no two windows of a grid of that cadence render the same by what the template has of them."""
    used = variables(template)
    return bool(used & {"partition", "datetime"}) or used >= {"date", "time"} or ("date" in used and cadence in DAILY)


def check_template(template: str) -> str:
    """Return the template when every rendering of it is a safe relative path. Raises ValueError."""
    unknown = variables(template) - VARIABLES
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in sorted(VARIABLES))
        message = f"unknown variable {{{min(unknown)}}}; a path knows {known}"
        raise ValueError(message)
    if "{" in _VARIABLE.sub("", template) or "}" in _VARIABLE.sub("", template):
        message = f"{template!r} has a brace that is not part of a variable"
        raise ValueError(message)
    _refuse(_VARIABLE.sub("x", template).lstrip("/"), template)
    return template


def check_path(path: str) -> None:
    """Raise ValueError unless every segment of a relative path is a name that every file system takes."""
    _refuse(path, path)


def _refuse(path: str, written: str) -> None:
    for segment in path.split("/"):
        if problem := _problem(segment):
            message = f"{written!r} cannot be a path here: {problem}"
            raise ValueError(message)


def _problem(segment: str) -> str:
    if not segment or segment in {".", ".."}:
        return f"{segment!r} is not a name (no `..`, no empty folder)"
    if segment[0] in "-~" or segment[-1] in ". ":
        return f"{segment!r} begins with - or ~, or ends with a dot or space"
    if any(unicodedata.category(char)[0] == "C" or char in '\\:*?"<>|' for char in segment):
        return f"{segment!r} has a character that file systems refuse"
    if _RESERVED.fullmatch(segment) or len(segment.encode()) > MAX_BYTES:
        return f"{segment!r} is a reserved name, or longer than {MAX_BYTES} bytes"
    return ""


def slug(value: object) -> str:
    """A value as part of a name: ASCII letters, digits, dot, dash and underscore."""
    text = unicodedata.normalize("NFC", str(value)).replace("+", "p")
    return _UNSAFE.sub("-", text).strip("-.") or "x"


def member(template: str, values: Mapping[str, object], endings: tuple[str, ...], kind: str) -> str:
    """The name of an archive's member: the file's without the archive's ending; one without an ending gets `kind`."""
    name = render(template.rpartition("/")[2], values)
    name = next((name.removesuffix(ending) for ending in endings if name.endswith(ending)), name)
    return name if re.search(r"\.[A-Za-z][A-Za-z0-9]*$", name) else f"{name}.{kind}"


def render(template: str, values: Mapping[str, object]) -> str:
    """Fill a template in. Raises ValueError where the result is not a safe relative path."""
    path = _VARIABLE.sub(lambda match: slug(values[match[1]]), template).lstrip("/")
    check_path(path)
    return path
