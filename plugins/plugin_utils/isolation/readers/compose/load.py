# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load files into one merged model: variables, ``extends``, ``include`` and several files, in Compose's order."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import ReaderError
from ...model import Interpolation, Where
from .canonical import SECTIONS, Paths, canonical
from .casts import cast
from .dotenv import evaluate, read_dotenv
from .interpolation import Interpolator, StandIn, lookup_in
from .keys import MODEL
from .merge import Path, extend, merge, reset, unique
from .shape import check_shape
from .yaml_text import Map, Seq, YamlDocument, read_yaml

_NAME = Where(item="name")
MAX_FILES = 200
MAX_CHAIN = 40


class Sources:
    """The files of a project by absolute path, each read once."""

    def __init__(self, read: Callable[[str], str | None], show: Callable[[str], str]) -> None:
        self._read = read
        self._texts: dict[str, str | None] = {}
        self.show = show

    def read(self, path: str) -> str | None:
        """The text of a file, or ``None`` if it cannot be read."""
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]


class Loader:
    """Loads models, and records all files, links, variables and problems."""

    def __init__(self, sources: Sources, home: str, stand_in: StandIn | None = None) -> None:
        self.sources = sources
        self.stand_in = stand_in
        self.missing: dict[str, Where] = {}
        self.home = home
        self.loaded: dict[str, str] = {}
        self.links: list[tuple[str, str, Where]] = []
        self.uses: list[Interpolation] = []
        self.unset: dict[str, Where] = {}
        self.problems: list[ReaderError] = []
        self._documents: dict[str, list[YamlDocument]] = {}
        self._loads = 0

    def declared_name(self, files: Sequence[str], env: Mapping[str, str]) -> str:
        """The last ``name:`` of the files, with its variables replaced."""
        name = ""
        for path in files:
            for document in self._parsed(path, "file"):
                declared = document.value.get("name") if isinstance(document.value, dict) else None
                if isinstance(declared, str) and declared:
                    name = declared
        return Interpolator(lookup_in(env), stand_in=self.stand_in, missing=self.missing).substitute(name, _NAME)

    def model(self, files: Sequence[str], base: str, env: Mapping[str, str], chain: tuple[str, ...] = ()) -> Map:
        """The merged canonical model of files, with absolute paths."""
        model = Map()
        for path in files:
            model = self._add(path, model, base, env, chain)
        if not model:
            raise ReaderError("the file is empty", rule="not-compose", file=self.sources.show(files[0]))
        if not isinstance(model.get("services", {}), dict):
            raise ReaderError("'services' must be a mapping of names", rule="not-compose")
        Paths(base, self.home).model(model)
        _resolve_listed(model, env)
        return model

    def _parsed(self, path: str, kind: str) -> list[YamlDocument]:
        if path not in self._documents:
            text = self.sources.read(path)
            shown = self.sources.show(path)
            if text is None:
                raise ReaderError("the file cannot be read", file=shown)
            self._documents[path] = _placed(shown, lambda: read_yaml(text, shown))
            self.loaded.setdefault(path, kind)
        return self._documents[path]

    def _config(self, path: str, document: YamlDocument, env: Mapping[str, str]) -> Map:
        """A document with its variables replaced and its shape checked."""
        shown = self.sources.show(path)
        if not isinstance(document.value, Map):
            raise ReaderError("a Compose file must be a mapping", 1, rule="not-compose", file=shown)
        interpolator = Interpolator(lookup_in(env), self.uses, self.unset, self.stand_in, self.missing)
        config: Map = _placed(shown, lambda: _interpolate(document.value, interpolator, (), (shown, 0)))
        services = config.get("services")
        if not isinstance(services, (dict, type(None))):
            line = config.at["services"][1]
            raise ReaderError("services must be a mapping", line, rule="not-compose", file=shown)
        return config

    def _add(self, path: str, model: Map, base: str, env: Mapping[str, str], chain: tuple[str, ...]) -> Map:
        """Merge one more file into a model."""
        self._count(path)
        shown = self.sources.show(path)
        for document in self._parsed(path, "file"):
            config = self._config(path, document, env)
            services = config.get("services") or {}
            for name in list(services):
                if services[name] is None:
                    services[name] = Map()  # Compose merges a service without keys over the other file's
                services[name] = self._extended(name, services, path, [document.resets], base, env, ())
            reset(model, document.resets)
            self._include(config, path, base, env, (*chain, path))
            model = _placed(shown, lambda: _combined(model, config))  # noqa: B023
        return model

    def _count(self, path: str) -> None:
        self._loads += 1
        if self._loads > MAX_FILES:
            message = f"the project includes and extends more than {MAX_FILES} files"
            raise ReaderError(message, rule="too-large", file=self.sources.show(path))

    def _extended(
        self,
        name: str,
        services: dict[str, Any],
        path: str,
        resets: list[list[Path]],
        base: str,
        env: Mapping[str, str],
        chain: tuple[tuple[str, str], ...],
    ) -> Any:
        """A service merged with what it extends."""
        service = services.get(name)
        extends = service.get("extends") if isinstance(service, dict) else None
        if not isinstance(service, dict) or extends is None:
            return service
        shown = self.sources.show(path)
        line = getattr(service, "at", {}).get("extends", ("", 0))[1]
        ref = extends.get("service") if isinstance(extends, dict) else extends
        if not isinstance(ref, str):
            raise ReaderError(f"services.{name}.extends names no service", line, rule="not-compose", file=shown)
        if (path, name) in chain or len(chain) > MAX_CHAIN:
            circle = " extends ".join(service_name for _path, service_name in (*chain, (path, name)))
            raise ReaderError(f"services extend each other in a cycle: {circle}", line, rule="cycle", file=shown)
        chain = (*chain, (path, name))
        file = extends.get("file") if isinstance(extends, dict) else None
        if file:
            target = Paths(base, self.home).path(file)
            self.links.append(("extends", target, Where(shown, line, f"services.{name}.extends")))
            found = self._extended_file(target, env)
            if found is None:
                return Map(
                    {key: item for key, item in service.items() if key != "extends"}, at=getattr(service, "at", None)
                )
            services, more = found
            resets, path = [*resets, more], target
        if ref not in services:
            message = f"services.{name} extends {ref!r}, which is not in {self.sources.show(path)}"
            raise ReaderError(message, line, rule="not-compose", file=shown)
        beneath = self._extended(ref, services, path, resets, base, env, chain)
        if beneath is None:
            return service
        source = clone(beneath)
        for paths in resets:
            reset({"services": {name: source}}, paths)
        merged = _placed(shown, lambda: extend(source, service))
        merged.pop("extends", None)
        if not file:
            services[name] = merged
        return merged

    def _extended_file(self, target: str, env: Mapping[str, str]) -> tuple[dict[str, Any], list[Path]] | None:
        """The services of an extended file and its resets, with absolute paths; ``None`` if it cannot be read."""
        self._count(target)
        if self.sources.read(target) is None:
            self.problems.append(ReaderError("the extended file cannot be read", file=self.sources.show(target)))
            return None
        model = Map()
        resets: list[Path] = []
        shown = self.sources.show(target)
        for document in self._parsed(target, "extends"):
            config = self._config(target, document, env)
            reset(model, document.resets)
            model = _placed(shown, lambda: _combined(model, config))  # noqa: B023
            resets = document.resets
        Paths(posixpath.dirname(target), self.home).model(model, defaults=False)
        return model.get("services") or {}, resets

    def _include(self, config: Map, path: str, base: str, env: Mapping[str, str], chain: tuple[str, ...]) -> None:
        """Merge the included files into ``config``."""
        entries = config.pop("include", None)
        if entries is None:
            return
        shown = self.sources.show(path)
        line = config.at.get("include", ("", 0))[1]
        if not isinstance(entries, list):
            raise ReaderError("'include' must be a list", line, rule="not-compose", file=shown)
        places = getattr(entries, "at", [])
        for number, entry in enumerate(entries):
            line = places[number][1] if number < len(places) else line
            full = entry if isinstance(entry, dict) else {"path": entry}
            files = [Paths(base, self.home).path(word) for word in _words(full.get("path")) if word]
            if not files:
                raise ReaderError("an entry of 'include' has no path", line, rule="not-compose", file=shown)
            where = Where(shown, line, f"include.{number}")
            self.links += [("include", file, where) for file in files]
            if files[0] in chain or len(chain) > MAX_CHAIN:
                circle = " includes ".join(map(self.sources.show, (*chain, files[0])))
                raise ReaderError(f"files include each other in a cycle: {circle}", line, rule="cycle", file=shown)
            missing = [file for file in files if self.sources.read(file) is None]
            if missing:
                names = ", ".join(map(self.sources.show, missing))
                self.problems.append(ReaderError(f"the included file cannot be read: {names}", line, file=shown))
                continue
            directory = full.get("project_directory")
            directory = Paths(base, self.home).path(directory) if directory else posixpath.dirname(files[0])
            imported = self.model(files, directory, self._include_env(full, base, directory, env), chain)
            for file in files:
                self.loaded[file] = "include"
            _import(imported, config, line, shown)

    def _include_env(
        self, entry: Mapping[str, Any], base: str, directory: str, env: Mapping[str, str]
    ) -> dict[str, str]:
        """The variables of an included project: its own environment files, overridden by the main project's."""
        files = [Paths(base, self.home).path(word) for word in _words(entry.get("env_file"))]
        values: dict[str, str] = {}
        for path in files or [posixpath.join(directory, ".env")]:
            text = self.sources.read(path)
            if text is None:
                if files:
                    self.problems.append(ReaderError("the file cannot be read", file=self.sources.show(path)))
                continue
            shown = self.sources.show(path)
            lines = _placed(shown, lambda: read_dotenv(text))  # noqa: B023
            values.update(_placed(shown, lambda: evaluate(lines, shown, lookup_in(env, values))))  # noqa: B023
        return {**values, **env}


def clone(value: Any) -> Any:
    """A deep copy that keeps the places."""
    if isinstance(value, dict):
        return Map({key: clone(item) for key, item in value.items()}, at=dict(getattr(value, "at", {})))
    if isinstance(value, list):
        return Seq([clone(item) for item in value], at=list(getattr(value, "at", [])))
    return value


def _combined(model: Map, config: Map) -> Map:
    """Merge a raw model into a canonical one, and make the result canonical."""
    merged = unique(merge(model, config))
    check_shape(merged, MODEL)
    merged.pop("version", None)
    combined: Map = unique(canonical(merged))
    return combined


def _interpolate(value: Any, interpolator: Interpolator, path: Path, place: tuple[str, int]) -> Any:
    if isinstance(value, str):
        text = interpolator.substitute(value, Where(place[0], place[1], ".".join(path))) if "$" in value else value
        if interpolator.stand_in is not None and interpolator.stand_in.text in text:
            return text if _takes_any_text(path, text, interpolator.stand_in.text) else _UNKNOWN
        return cast(path, text, place[1])
    if isinstance(value, Map):
        made = Map(at=value.at)
        for key, item in value.items():
            replaced = _interpolate(item, interpolator, (*path, key), value.at.get(key, place))
            if replaced is not _UNKNOWN:
                made[key] = replaced
        return made
    if isinstance(value, Seq):
        items = [_interpolate(item, interpolator, (*path, "[]"), value.at[n]) for n, item in enumerate(value)]
        known = [n for n, item in enumerate(items) if item is not _UNKNOWN]
        return Seq([items[n] for n in known], at=[value.at[n] for n in known])
    return value


#: What a value becomes that is unknown, and that Compose would not take as any text: it is left out.
_UNKNOWN = object()
#: Keys of a service whose values may be any text.
_TEXTS = re.compile(
    "image|container_name|hostname|domainname|environment|command|entrypoint|labels|annotations|extra_hosts|build|secrets"
    "|configs|healthcheck|user|working_dir|logging|volumes"
)


def _takes_any_text(path: Path, text: str, stand_in: str) -> bool:
    """Whether a value of which a part is unknown may stand at a path."""
    if path[:1] == ("services",) and len(path) > 2:
        # ${DATA}:/data: neither a volume's name nor a path.
        return _TEXTS.fullmatch(path[2]) is not None and not (path[2] == "volumes" and text.startswith(stand_in))
    return path[-1] not in ("external", "internal", "attachable", "subnet", "gateway", "ip_range")


def _resolve_listed(model: Map, env: Mapping[str, str]) -> None:
    """Give bare names in lists of environment entries their values, in place."""
    for service in (model.get("services") or {}).values():
        listed = service.get("environment") if isinstance(service, dict) else None
        if isinstance(listed, list):
            listed[:] = [f"{item}={env[item]}" if isinstance(item, str) and item in env else item for item in listed]


def _import(imported: Map, config: Map, line: int, shown: str) -> None:
    for section in SECTIONS:
        entries = imported.get(section)
        if not entries:
            continue
        own = config.get(section)
        if own is None:
            own = config[section] = Map()
        for name, entry in entries.items():
            if name in own and own[name] != entry:
                message = f"{section}.{name} is defined here and in an included file"
                raise ReaderError(message, line, rule="not-compose", file=shown)
            own[name] = entry
            own.at.setdefault(name, entries.at.get(name, ("", 0)))


def _placed(shown: str, step: Callable[[], Any]) -> Any:
    """Run ``step`` and set the file of an error that has none."""
    try:
        return step()
    except ReaderError as error:
        error.file = error.file or shown
        raise


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, list) else []
