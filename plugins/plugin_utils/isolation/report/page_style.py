# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The style of the report's page: light and dark, narrow and wide, on paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b1f24; --quiet: #57606a; --line: #8c959f; --panel: #f6f8fa;
  --good: #116329; --bad: #a40e26; --wall: #24292f; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0d1117; --ink: #e6edf3; --quiet: #9da7b3; --line: #6e7681; --panel: #161b22; --good: #56d364;
    --bad: #ff9492; --wall: #c9d1d9; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; }
main, footer { max-width: 75rem; margin: 0 auto; padding: 1rem; }
footer { color: var(--quiet); }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 2.5rem; }
h3 { margin: 0 0 .5rem; font-size: 1rem; }
a { color: inherit; }
code { font: .9em/1.4 ui-monospace, monospace; }
ul { margin: 0; padding-left: 1.2rem; }
dt { color: var(--quiet); font-size: .9rem; }
dd { margin: 0 0 .5rem; }
.verdict { padding: .75rem 1rem; border-left: .4rem solid var(--good); background: var(--panel); }
.verdict.refused { border-color: var(--bad); }
.hull { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: .5rem;
  padding: .5rem; border: .25rem solid var(--wall); border-radius: .5rem .5rem 1rem 1rem; }
.compartment { padding: .75rem; border: .15rem solid var(--wall); background: var(--panel); min-width: 0; }
.compartment ul { list-style: none; padding: 0; }
.mark { padding: 0 .4rem; border: 1px solid var(--line); border-radius: .3rem; font-size: .8rem; font-weight: normal; }
.between { margin: 1rem 0 .25rem; }
.findings li { margin-bottom: 1rem; }
.findings p { margin: 0; }
.findings dl { margin: .25rem 0 0; display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0 1rem; }
.stops > p, ul.findings .stops { color: var(--bad); }
.severity { font-weight: bold; text-transform: uppercase; font-size: .85rem; }
details { border-top: 1px solid var(--line); }
summary { padding: .5rem 0; cursor: pointer; font-weight: bold; }
summary:focus-visible { outline: .15rem solid currentColor; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; margin-bottom: 1rem; }
caption { text-align: left; color: var(--quiet); padding-bottom: .25rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem .25rem 0; border-top: 1px solid var(--line); }
th:first-child { width: 35%; }
td ul { list-style: none; padding: 0; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.seen > summary span { font-weight: normal; margin-left: .5rem; }
h4 { margin: 1rem 0 .25rem; font-size: 1rem; }
.problems { color: var(--bad); margin-bottom: .5rem; }
.facts { margin: .25rem 0; display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0 1rem; }
.facts dd { margin: 0; }
.facts ul { list-style: none; padding: 0; }
.lanes { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0 .75rem; align-items: center;
  font-size: .9rem; padding: .5rem 0; }
.lanes svg { display: block; }
.lanes > svg { overflow: hidden; }
.lanes line { stroke: var(--line); }
.lanes .done { fill: var(--ink); }
.lanes .failed { stroke: var(--bad); stroke-width: 3; fill: none; }
.lanes p { display: flex; justify-content: space-between; margin: 0; color: var(--quiet); }
@media (max-width: 30rem) { .findings dl { grid-template-columns: minmax(0, 1fr); } }
@media print {
  :root { --ground: #fff; --ink: #000; --panel: #fff; --quiet: #333; --good: #000; --bad: #000; }
  details::details-content { content-visibility: visible; display: block; }
  .compartment, tr, li { break-inside: avoid; }
}
"""
