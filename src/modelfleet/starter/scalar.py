"""Writing names and comments into YAML by hand, whatever characters are in them."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"(\.\.?/)*[A-Za-z_/][A-Za-z0-9_./-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
_LONGEST_KEY = 500
_LONGEST_COMMENT = 300


def scalar(text: str) -> str:
    """Return a text as a YAML scalar on one line: as it is where nothing can go wrong, else in double quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and len(text) <= _LONGEST_KEY:
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def key(text: str) -> str:
    """Return a text as the key of a YAML mapping, up to the colon; YAML wants long ones marked."""
    written = scalar(text)
    return f"{written}:" if len(written) <= _LONGEST_KEY else f"? {written}\n    :"


def comment(text: str) -> str:
    """Return a text as the end of a line: ``# `` and the text, without anything that would end the line."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return f"# {line if len(line) <= _LONGEST_COMMENT else line[:_LONGEST_COMMENT] + ' ...'}"


def _escaped(character: str) -> str:
    if character in {'"', "\\"}:
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    if code < 1 << 8:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
