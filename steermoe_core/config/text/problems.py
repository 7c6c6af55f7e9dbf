"""The error codes of experiment files, and the record of one problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from steermoe_core.config.naming import dotted
from steermoe_core.config.text.snippet import GUTTER, snippet

if TYPE_CHECKING:
    from steermoe_core.config.text.locate import KeyPath
    from steermoe_core.system.records import Json

#: Every code and what it means; docs/reference/errors.md has an example of each.
CODES = {
    "E001": "the file cannot be read",
    "E002": "the file is not UTF-8 text",
    "E003": "the file is not valid TOML",
    "E004": "`extends` names a file that cannot be read",
    "E005": "`extends` leads back to a file that is already open",
    "E006": "a `--set` flag or an axis of a sweep cannot be parsed or applied",
    "E007": "the file is a sweep, not one experiment",
    "E008": "an override changes nothing",
    "E101": "a value has the wrong type",
    "E102": "a key does not exist",
    "E103": "a key or table is missing",
    "E104": "a value is not one of the choices",
    "E201": "no installed plugin offers the component",
    "E202": "a table does not choose a component",
    "E203": "the plugin that should offer the component is broken or blocked",
    "E204": "the component's own settings cannot be used",
    "E205": "a package that a component needs is not installed",
    "E301": "a value is outside its limits",
    "E302": "settings contradict each other",
    "E303": "a test split is used in training",
    "E304": "two components do not work together",
    "E305": "two cells of a sweep are the same experiment",
}


@attrs.frozen(kw_only=True)
class Problem:
    """One thing that is wrong, and where.

    :param code: key of `CODES`.
    :param message: one sentence.
    :param path: key path of the value; empty for a whole file.
    :param file: the file as it is shown to the user, or ``--set``.
    :param line: line number from 1; None for a whole file or a flag.
    :param column: character column from 1; None for a whole file.
    :param source: the line of text that contains the problem.
    :param width: characters that the caret line underlines.
    :param hint: what to write instead; may be empty.
    :param notes: further facts, one line each.
    """

    code: str = attrs.field(validator=attrs.validators.in_(CODES))
    message: str
    path: KeyPath = ()
    file: str
    line: int | None = None
    column: int | None = None
    source: str | None = None
    width: int = 1
    hint: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the problem as a terminal shows it: place, message, the line, a caret under the exact span.

        ::

            experiments/asr.toml:14:1  error[E102] unknown key "stepz" in [train]
               14 | stepz = 100
                  | ^^^^^ did you mean "steps"?
        """
        place = self.file if self.line is None else f"{self.file}:{self.line}:{self.column}"
        lines = [f"{place}  error[{self.code}] {self.message}"]
        if self.source is not None and self.column is not None:
            lines += snippet(self.source, self.line, self.column, self.width, self.hint)
        elif self.hint:
            lines.append(f"{'':{GUTTER}} = {self.hint}")
        lines += [f"{'':{GUTTER}} = note: {note}" for note in self.notes]
        return "\n".join(lines)

    def to_json(self) -> Json:
        """Return the facts for programs."""
        fields = attrs.asdict(self, filter=attrs.filters.exclude("source", "width"))
        return {**fields, "path": dotted(self.path)}
