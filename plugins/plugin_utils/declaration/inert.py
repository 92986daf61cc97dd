# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jinja without effects, for the values of environments that are not being deployed.

Whoever writes the variables of one environment must not be able to run anything, read a file or use a secret while
another environment is deployed. So only what is listed here is available: everything else is refused by name. What
is listed depends on its arguments alone, so that two evaluations never differ.
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ansible.parsing.vault import VaultSecretsContext
from jinja2 import BaseLoader, Environment
from jinja2.runtime import BlockReference, LoopContext, Macro
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import Namespace

from ..isolation.gc_pause import collector_paused
from .bounds import LONGEST
from .checked import TOO_MUCH, Refuse, check_generated, plugin, reading_yaml, rounding

#: Seconds of processor time and bytes of memory for one environment: its values, and then its files.
SECONDS = 3.0
MEMORY = 512 << 20

_FILTERS = """
    abs b64decode b64encode basename batch bool capitalize center checksum combinations combine comment commonpath
    count d default dict2items dictsort difference dirname e escape extract filesizeformat first flatten float
    forceescape format from_json from_yaml groupby hash human_readable human_to_bytes indent int intersect items
    items2dict join last length list log lower mandatory map max md5 min normpath path_join permutations pow product
    quote regex_escape regex_findall regex_replace regex_search reject rejectattr rekey_on_member replace reverse root
    round select selectattr sha1 slice sort split splitext string striptags subelements sum symmetric_difference
    ternary title to_json to_nice_json to_nice_yaml to_uuid to_yaml tojson trim truncate type_debug union unique upper
    urldecode urlencode urlsplit wordcount wordwrap xmlattr zip zip_longest
"""

_TESTS = """
    != < <= == > >= all any boolean contains defined divisibleby eq equalto even false falsy float ge greaterthan gt
    in integer is_abs isnan issubset issuperset iterable le lessthan lower lt mapping match nan ne none number odd
    regex sameas search sequence string subset superset true truthy undefined upper uri url urn version
    version_compare
"""

#: The filters and tests of this collection.
_OURS = "aiia.bulkhead."
_OUR_FILTERS = "assert_prefixed container_name database_name image_name network_name project_name role_name volume_name"
_OUR_TESTS = "prefixed_by valid_prefix"

_GLOBALS = ("dict", "namespace", "omit", "range", "undef")
_REPLACED = ("lookup", "query", "q", "now", "lipsum", "cycler", "joiner")

#: Methods of texts, numbers, lists and mappings that change nothing. Not `format`: it reads any attribute.
_METHODS = """
    capitalize casefold center count endswith expandtabs find get index isalnum isalpha isascii isdecimal isdigit
    islower isnumeric isspace istitle isupper items join keys ljust lower lstrip partition removeprefix removesuffix
    replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title upper values
    zfill copy bit_length
"""
_PLAIN = (str, int, float, list, tuple, dict)

#: Where Linux says how many pages of memory a process has.
_SIZES = Path("/proc/self/statm")


class Exhausted(BaseException):
    """An evaluation took too long. Not an ``Exception``, which the template engine would turn into a value."""


class _Allowed(dict[str, Any]):
    """Filters or tests by name. Any other name is a function that refuses, so that the use is what counts."""

    def __init__(self, kind: str, found: Mapping[str, Any], refuse: Refuse) -> None:
        super().__init__(found)
        self._kind = kind
        self._refuse = refuse

    def __missing__(self, name: str) -> Any:
        return lambda *_arguments, **_options: self._refuse(f"the {self._kind} {name}")

    def get(self, name: str, default: Any = None) -> Any:
        """The function of this name; Jinja asks in this way while it compiles."""
        return self[name]


class _NoFiles(BaseLoader):
    """Refuses ``include``, ``import`` and ``extends``."""

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse

    def get_source(self, environment: Environment, template: str) -> NoReturn:
        """Refuse to read a file."""
        self._refuse("include, import or extends")


def make_inert(environment: Any, refuse: Refuse) -> None:
    """Leave in a Jinja environment only what has no effect. ``refuse`` raises, and notes the name that it gets."""
    filters = _chosen(environment.filters, _FILTERS, _OUR_FILTERS, refuse)
    for name, limited in (("round", rounding), ("from_yaml", reading_yaml)):
        for full in (name, f"ansible.builtin.{name}"):
            filters[full] = limited(filters[full], refuse)
    environment.filters = _Allowed("filter", filters, refuse)
    environment.tests = _Allowed("test", _chosen(environment.tests, _TESTS, _OUR_TESTS, refuse), refuse)
    found = {name: environment.globals[name] for name in _GLOBALS}
    replaced = {name: _refusing(f"{name}()", refuse, environment.globals.get(name)) for name in _REPLACED}
    environment.globals.clear()
    environment.globals.update(found, **replaced)
    environment.loader = _NoFiles(refuse)
    environment.is_safe_callable = lambda called: _is_pure(called, environment.globals) or refuse(_name_of(called))
    environment.is_safe_attribute = _only_sandboxed(environment, environment.is_safe_attribute, refuse)
    environment.intercepted_binops = frozenset({*environment.intercepted_binops, "*", "**"})
    products = {"*": partial(_bounded_product, refuse), "**": partial(_bounded_power, refuse)}
    environment.binop_table = {**environment.binop_table, **products}
    check_generated(environment, replaced, refuse)


def _only_sandboxed(environment: Any, allowed: Callable[..., bool], refuse: Refuse) -> Callable[..., bool]:
    """Refuse attributes that Ansible allows beyond Jinja's sandbox."""

    def is_safe(holder: Any, name: str, value: Any) -> bool:
        if SandboxedEnvironment.is_safe_attribute(environment, holder, name, value):
            return True
        return allowed(holder, name, value) and refuse(f"the attribute {name}")

    return is_safe


def _refusing(what: str, refuse: Refuse, replaced: Any) -> Callable[..., NoReturn]:
    def refused(*_arguments: Any, **_options: Any) -> NoReturn:
        refuse(what)

    # By these ansible-core knows what it may call with an undefined value, as in `default=undef()`.
    vars(refused).update(getattr(replaced, "__dict__", {}))
    return refused


def _chosen(plugins: Mapping[str, Any], names: str, ours: str, refuse: Refuse) -> dict[str, Any]:
    """The plugins of these names, checked: Ansible's own rather than any that lie beside a playbook."""
    found: dict[str, Any] = {}
    for name in names.split():
        for qualified in (f"ansible.builtin.{name}", name):
            if qualified in plugins:
                found[name] = found[f"ansible.builtin.{name}"] = plugins[qualified]
                break
    found.update({_OURS + name: plugins[_OURS + name] for name in ours.split() if _OURS + name in plugins})
    return {name: plugin(function, refuse) for name, function in found.items()}


def _is_pure(called: Any, known: Mapping[str, Any]) -> bool:
    """Whether something may be called in a template: our globals, a template's own macros, methods that only read."""
    if isinstance(called, (Macro, BlockReference, LoopContext)) or called is Namespace:
        return True
    owner = getattr(called, "__self__", None)
    if isinstance(owner, LoopContext):
        return True
    if isinstance(owner, _PLAIN) and getattr(called, "__name__", "") in _METHODS.split():
        return True
    return any(called == function for function in known.values())


def _name_of(called: Any) -> str:
    return f"{getattr(called, '__name__', type(called).__name__)}()"


def _bounded_product(refuse: Refuse, left: Any, right: Any) -> Any:
    for much, often in ((left, right), (right, left)):
        if isinstance(often, int) and isinstance(much, (str, list, tuple)) and len(much) * often > LONGEST:
            refuse(TOO_MUCH)
    if sum(number.bit_length() for number in (left, right) if isinstance(number, int)) > LONGEST:
        refuse(TOO_MUCH)
    return left * right


def _bounded_power(refuse: Refuse, left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > LONGEST:
        refuse(TOO_MUCH)
    return left**right


@contextmanager
def without_secrets() -> Iterator[None]:
    """Hide the run's vault secrets: values that Ansible decrypts on its own find none.

    Where they are kept is private in ansible-core; all encrypted values were replaced before, in any case.
    """
    kept = VaultSecretsContext.current(optional=True)
    VaultSecretsContext._current = VaultSecretsContext([])
    try:
        yield
    finally:
        VaultSecretsContext._current = kept


@collector_paused()  # what else this process holds would be scanned on the work's time
def in_time(seconds: float, work: Callable[[], Any]) -> Any:
    """Do some work. Raises :class:`Exhausted` where this process computes for longer than these seconds.

    The timer counts processor time; its signal is not the one that Ansible's own time limits use. It may interrupt the
    template engine anywhere, and leave its state of that moment in disorder: it works with a state of its own.
    """
    rang = False

    def ring(_number: int, frame: Any) -> None:
        nonlocal rang
        rang = True
        if frame.f_code.co_name != "__del__":  # Python would only print it there
            raise Exhausted

    if seconds <= 0:
        raise Exhausted
    context = Context()
    signal.signal(signal.SIGVTALRM, ring)
    # It goes on ringing: a loop whose body swallows one exception meets the next.
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 0.05)
    try:
        return context.run(work)
    except Exception:
        if rang:
            raise Exhausted from None
        raise
    finally:
        armed = True
        while armed:
            try:  # it may ring once more on the way
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
                # Not the default, which would end the process: the kernel may deliver a last signal late.
                signal.signal(signal.SIGVTALRM, signal.SIG_IGN)
                armed = False
            except Exhausted:
                continue


@contextmanager
def in_memory() -> Iterator[None]:
    """Let this process grow by :data:`MEMORY` and no more; beyond that Python raises MemoryError."""
    try:
        with _SIZES.open("rb", buffering=0) as sizes:
            used = int(sizes.read(64).split()[0]) * resource.getpagesize()
    except OSError:  # not Linux: there only the time is limited
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = used + MEMORY
    if soft != resource.RLIM_INFINITY and soft <= wanted:
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
