"""Everything that is looked at before a book is shown to others: ``make check``.

::

    pages.py     the built pages: labels, sizes, text of results that became markup
    runs.py      what the book is made of: stale or failed runs, undeclared outputs, unused references
    axe.py       accessibility, with axe-core in headless Chromium
    live.py      dark mode, search, citing and the table of hypotheses, used in a real browser
    every.py     all of it, in one list
"""
