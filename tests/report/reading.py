"""A page as a strict reader sees it: its elements, its texts by section, what it refers to."""

from __future__ import annotations

from html.parser import HTMLParser

#: Elements without an end tag; those whose ends part words; those that are not read: numbers along axes.
VOID = frozenset({"meta", "br", "hr", "img", "input", "link", "source", "wbr"})
PARTING = frozenset({"td", "th", "li", "p", "dt", "dd"})
UNREAD = frozenset({"style", "text"})


class Reading(HTMLParser):
    """Reads a page and fails where it is not well-formed.

    :ivar elements: names and attributes of all elements.
    :ivar texts: what is to be read, by the section it stands in; "" outside of sections.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, str] = {}
        self._open: list[str] = []
        self._section = ""
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert len(found) == len(attrs), f"an attribute of <{tag}> twice"
        self.elements.append((tag, found))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section":
            self._section = found["id"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> without a beginning"
        opened = self._open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}> at {self.getpos()}"
        if tag in PARTING:
            self.handle_data(" ")
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        if not UNREAD & set(self._open) and "title" not in self._open[2:]:
            self.texts[self._section] = self.texts.get(self._section, "") + data

    def attributes(self, name: str) -> list[str]:
        """Return the values of an attribute wherever it stands."""
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    @property
    def text(self) -> str:
        """All that is to be read, in single spaces."""
        return " ".join(" ".join(self.texts.values()).split())
