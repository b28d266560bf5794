"""Small pieces of HTML. Text is escaped here and nowhere else."""

import re
from html import escape

import msgspec

_CODE = re.compile(r"`([^`]+)`")


def text(words: str) -> str:
    """One run of text: what stands in backticks becomes code."""
    return _CODE.sub(r"<code>\1</code>", escape(words))


def paragraphs(words: str) -> str:
    """Text whose paragraphs are parted by empty lines."""
    return "".join(f"<p>{text(paragraph)}</p>" for paragraph in words.split("\n\n") if paragraph.strip())


def code(words: str) -> str:
    """A name, or another piece of code within text."""
    return f"<code>{escape(words)}</code>"


def block(value: object) -> str:
    """An example: text as it is, everything else as JSON."""
    shown = value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    # Focusable, so that a keyboard can scroll it.
    return f'<pre tabindex="0">{escape(shown)}</pre>'


def folded(summary: str, inner: str) -> str:
    """What opens at a click; `summary` and `inner` are HTML."""
    return f"<details><summary>{summary}</summary>{inner}</details>"


def link(anchor: str, words: str) -> str:
    """A link within the page."""
    return f'<a href="#{escape(anchor)}">{escape(words)}</a>'


def rows(pairs: list[tuple[str, str]]) -> str:
    """Terms and what they mean, both HTML."""
    return "<dl>" + "".join(f"<dt>{term}</dt><dd>{meaning}</dd>" for term, meaning in pairs) + "</dl>" if pairs else ""
