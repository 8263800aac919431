"""A page as a browser's parser would see it, and what can be asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "input", "br", "hr", "line", "circle", "rect", "path", "polyline", "polygon"}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def find(self, tag: str, **attributes: str) -> list[Node]:
        """Descendants in document order with these attributes; `class_` must hold the class."""
        found = []
        for child in self.children:
            if child.tag == tag and all(child._has(key, value) for key, value in attributes.items()):
                found.append(child)
            found += child.find(tag, **attributes)
        return found

    def _has(self, key: str, value: str) -> bool:
        if key == "class_":
            return value in self.attributes.get("class", "").split()
        return self.attributes.get(key.replace("_", "-")) == value

    def walk(self) -> list[Node]:
        return [self, *(node for child in self.children for node in child.walk())]

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).split())

    @property
    def own(self) -> str:
        """The text without what `small` adds."""
        whole = self.text
        for small in self.find("small"):
            whole = whole.removesuffix(small.text).strip()
        return whole


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("#root", {})
        self.open = [self.root]
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> repeats an attribute: {names}")
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if self.open[-1].tag != tag:
            self.faults.append(f"</{tag}> closes <{self.open[-1].tag}>")
            return
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for node in self.open:
            node.parts.append(data)


def parse(html: str) -> Node:
    """The tree of a page; AssertionError when tags do not nest or stay open."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    still_open = [node.tag for node in builder.open[1:]]
    assert not builder.faults, builder.faults[:5]
    assert not still_open, still_open
    return builder.root
