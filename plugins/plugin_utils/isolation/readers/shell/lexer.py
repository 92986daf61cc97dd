# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Split shell text into simple commands with line numbers. Invalid text raises no error.

It extracts the words of each command, what joins the commands, and which are in a default branch. It handles quotes,
comments, continuation lines, command substitution, here-documents and compound commands; expansions are kept as
written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

_SPACE = re.compile(r"(?:[ \t\r]|\\\r?\n)+")
_OPERATOR = re.compile(r";;&?|;&|&&|\|\||\|&|[;|()]|&(?!>)|\n")
_REDIRECT = re.compile(r"(\d*)(&>>|&>|<<<|<<-|<<|>>|>\||>&|<&|<>|>|<)")
_PLAIN = re.compile(r"[^\s'\"\\$`&|;<>()]+")
_HEREDOC_END = re.compile(r"[ \t]*(['\"]?)([\w.-]+)\1")
#: The pattern of an arm of ``case``. Its length is limited, so that broken text is not searched to its end.
_PATTERN = re.compile(r"\s*(?:#[^\n]*\s+){0,20}(esac\b|\(?([^)\n]{0,300})\))")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")

#: Keywords that may precede a command.
_LEADING = frozenset(("then", "do", "!", "{", "time", "if", "elif", "while", "until", "else"))
_CLOSING = frozenset(("fi", "done", "esac", "}"))


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple command. ``words`` are unquoted; ``nested`` are its command substitutions, each with its line."""

    words: tuple[str, ...]
    assignments: tuple[tuple[str, str], ...]
    line: int
    joined: str = ""
    redirects: tuple[tuple[str, str], ...] = ()
    nested: tuple[tuple[str, int], ...] = ()
    heredoc: tuple[str, int] | None = None
    #: It runs if nothing else matched: in ``else``, or in ``*)`` of a ``case``.
    default: bool = False
    #: The number of subshells around it.
    depth: int = 0


@dataclass
class _Draft:
    words: list[str] = field(default_factory=list)
    line: int = 0
    redirects: list[tuple[str, str]] = field(default_factory=list)
    nested: list[tuple[str, int]] = field(default_factory=list)
    heredoc: tuple[str, int] | None = None


class _Lexer:
    """One pass over a text. ``blocks`` are the open compound commands, innermost last."""

    def __init__(self, text: str, line: int) -> None:
        self.text = text
        self.position = 0
        self.counted = 0
        self.line_there = line
        self.pending: list[tuple[_Draft, str, bool]] = []
        self.blocks: list[str] = []
        self.depth = 0

    def line(self, position: int | None = None) -> int:
        """The line of a position; positions must not decrease between calls."""
        position = self.position if position is None else position
        if position > self.counted:
            self.line_there += self.text.count("\n", self.counted, position)
            self.counted = position
        return self.line_there

    def commands(self) -> Iterator[Simple]:
        """Yield all simple commands in order."""
        draft, joined = _Draft(), ""
        while self.position < len(self.text):
            # The first character excludes most of what could follow, faster than a pattern does.
            char = self.text[self.position]
            space = _SPACE.match(self.text, self.position) if char in " \t\r\\" else None
            if space:
                self.position = space.end()
                continue
            if char == "#":
                self.position = self._end_of_line(self.position)
                continue
            if self._in_pattern(draft):
                continue
            redirect = _REDIRECT.match(self.text, self.position) if char in "&<>" or char.isdecimal() else None
            if redirect:
                self._redirect(redirect, draft)
                continue
            operator = _OPERATOR.match(self.text, self.position) if char in ";&|()\n" else None
            if operator is None:
                self._word(draft)
                continue
            mark = operator.group()
            if draft.words or draft.redirects:
                yield from self._finish(draft, joined)
                joined = ""
            draft = _Draft()
            self.position = operator.end()
            if mark == "\n":
                self._here_documents()
                joined = joined if joined in ("&&", "||", "|") else "\n"
            elif mark == "(":
                self.depth += 1
            elif mark == ")":
                self.depth = max(0, self.depth - 1)
            else:
                joined = mark
            if mark.startswith(";") and mark != ";" and self.blocks:
                self.blocks[-1] = "case"
        if draft.words or draft.redirects:
            yield from self._finish(draft, joined)

    def _finish(self, draft: _Draft, joined: str) -> Iterator[Simple]:
        words = draft.words
        while words and (words[0] in _LEADING or words[0] in _CLOSING):
            self._keyword(words[0])
            words = words[1:]
        if words[:1] == ["case"]:
            self.blocks.append("case")
            words = []
        elif words[:1] == ["for"] or words[:1] == ["select"] or words[:1] == ["function"]:
            words = []
        count = 0
        while count < len(words) and _ASSIGNMENT.match(words[count]):
            count += 1
        pairs = tuple(
            (name.rstrip("+"), value) for name, _equals, value in (word.partition("=") for word in words[:count])
        )
        if words or draft.redirects or draft.nested:
            # The draft is needed again when its here-document is read at the end of the line.
            yield Simple(
                tuple(words[count:]),
                pairs,
                draft.line,
                joined,
                tuple(draft.redirects),
                tuple(draft.nested),
                self._heredoc_of(draft),
                any(block in ("else", "default") for block in self.blocks),
                self.depth,
            )

    def _keyword(self, word: str) -> None:
        if word == "if":
            self.blocks.append("if")
        elif word == "else" and self.blocks:
            self.blocks[-1] = "else"
        elif word == "elif" and self.blocks:
            self.blocks[-1] = "if"
        elif word in ("while", "until"):
            pass  # not in blocks, so that "done" need not close it
        elif word in ("fi", "esac") and self.blocks:
            self.blocks.pop()

    def _in_pattern(self, draft: _Draft) -> bool:
        """Read the pattern of a ``case`` if one must follow here."""
        if draft.words[:1] == ["case"] and draft.words[-1] == "in":
            self.blocks.append("case")
            draft.words.clear()
        if not self.blocks or self.blocks[-1] != "case" or draft.words:
            return False
        match = _PATTERN.match(self.text, self.position)
        if match is None:
            self.blocks.pop()
            return False
        if match[1] == "esac":
            self.blocks.pop()
        else:
            self.blocks[-1] = "default" if match[2].strip() in ("*", '"*"') else "arm"
        self.position = match.end()
        return True

    def _redirect(self, match: re.Match[str], draft: _Draft) -> None:
        draft.line = draft.line or self.line()
        self.position = match.end()
        kind = match[2]
        if kind in ("<<", "<<-"):
            end = _HEREDOC_END.match(self.text, self.position)
            if end and len(self.pending) < 16:
                self.position = end.end()
                self.pending.append((draft, end[2], kind == "<<-"))
                draft.heredoc = self._peek_heredoc(end[2], kind == "<<-")
            return
        space = _SPACE.match(self.text, self.position)
        self.position = space.end() if space else self.position
        target = _Draft()
        before = self.position
        if _OPERATOR.match(self.text, before) is None and before < len(self.text):
            self._word(target)
        draft.nested.extend(target.nested)
        draft.redirects.append((kind, target.words[0] if target.words else ""))

    def _peek_heredoc(self, end: str, tabs: bool) -> tuple[str, int]:
        """The here-document that begins on the next line, after those already pending."""
        begin = self._end_of_line(self.position) + 1
        for _draft, earlier, earlier_tabs in self.pending[:-1]:
            begin = self._heredoc_end(begin, earlier, earlier_tabs)[1]
        stop, _after = self._heredoc_end(begin, end, tabs)
        line = self.line() + self.text.count("\n", self.position, begin)
        return self.text[begin:stop], line

    def _heredoc_end(self, begin: int, end: str, tabs: bool) -> tuple[int, int]:
        """The positions where a here-document's body ends and where the text continues."""
        lead = r"\t*" if tabs else ""
        match = re.compile(rf"^{lead}{re.escape(end)}[ \t]*\r?$", re.MULTILINE).search(self.text, begin)
        return (match.start(), match.end() + 1) if match else (len(self.text), len(self.text))

    def _here_documents(self) -> None:
        for _draft, end, tabs in self.pending:
            self.position = self._heredoc_end(self.position, end, tabs)[1]
        self.pending.clear()

    @staticmethod
    def _heredoc_of(draft: _Draft) -> tuple[str, int] | None:
        return draft.heredoc

    def _end_of_line(self, position: int) -> int:
        end = self.text.find("\n", position)
        return len(self.text) if end == -1 else end

    def _word(self, draft: _Draft) -> None:
        """Read one word with all its parts."""
        draft.line = draft.line or self.line()
        parts: list[str] = []
        start = self.position
        while self.position < len(self.text):
            part = self._part(draft)
            if part is None:
                break
            parts.append(part)
        if self.position == start:
            self.position += 1  # an unknown character
            return
        draft.words.append("".join(parts))

    def _part(self, draft: _Draft) -> str | None:
        text, here = self.text, self.position
        plain = _PLAIN.match(text, here)
        if plain:
            self.position = plain.end()
            return plain.group()
        char = text[here]
        if char == "'":
            end = text.find("'", here + 1)
            end = len(text) if end == -1 else end
            self.position = end + 1
            return text[here + 1 : end]
        if char == '"':
            return self._double(draft)
        if char == "\\":
            self.position = here + 2
            return "" if text[here + 1 : here + 2] == "\n" else text[here + 1 : here + 2]
        if char in "$`":
            end = _end_of_expansion(text, here)
            self._note_substitution(here, end, draft)
            self.position = end
            return text[here:end]
        return None

    def _double(self, draft: _Draft) -> str:
        text, here = self.text, self.position + 1
        parts: list[str] = []
        while here < len(text) and text[here] != '"':
            if text[here] == "\\":
                escaped = text[here + 1 : here + 2]
                parts.append(escaped if escaped in '"\\$`' else "" if escaped == "\n" else "\\" + escaped)
                here += 2
            elif text[here] in "$`":
                end = _end_of_expansion(text, here)
                self._note_substitution(here, end, draft)
                parts.append(text[here:end])
                here = end
            else:
                match = re.compile(r'[^"\\$`]+').match(text, here)
                parts.append(match.group() if match else text[here])
                here = match.end() if match else here + 1
        self.position = here + 1
        return "".join(parts)

    def _note_substitution(self, begin: int, end: int, draft: _Draft) -> None:
        expansion = self.text[begin:end]
        if expansion.startswith("$((") or not expansion.startswith(("$(", "`")):
            return
        inner = expansion[2:-1] if expansion.startswith("$(") else expansion[1:-1]
        draft.nested.append((inner, self.line() + self.text.count("\n", self.position, begin)))


def _end_of_expansion(text: str, here: int) -> int:
    """The end of an expansion that begins with ``$`` or a backquote."""
    if text[here] == "`":
        end = text.find("`", here + 1)
        return len(text) if end == -1 else end + 1
    opener = text[here + 1 : here + 2]
    if opener not in ("(", "{"):
        match = re.compile(r"\$(?:\w+|[@*#?$!-])?").match(text, here)
        return match.end() if match else here + 1
    # ``${{ … }}`` of a workflow is balanced like any other.
    closer, depth, position = {"(": ")", "{": "}"}[opener], 0, here + 1
    while position < len(text):
        char = text[position]
        if char == "\\":
            position += 1
        elif char == "'" and opener == "(":
            end = text.find("'", position + 1)
            position = len(text) if end == -1 else end
        elif char == opener:
            depth += 1
        elif char == closer:
            depth -= 1
            if not depth:
                return position + 1
        position += 1
    return len(text)


def simple_commands(text: str, line: int = 1) -> Sequence[Simple]:
    """The simple commands of a shell text; ``line`` is the number of its first line."""
    return _of_short(text, line) if len(text) <= _SHORT else tuple(_Lexer(text, line).commands())


#: Substitutions are such: in the scripts of a fleet the same ones come again and again.
_SHORT = 256


@lru_cache(maxsize=1024)
def _of_short(text: str, line: int) -> Sequence[Simple]:
    return tuple(_Lexer(text, line).commands())
