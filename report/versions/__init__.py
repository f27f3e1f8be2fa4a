"""Published versions of the book, and what differs between two of them.

::

    record.py    what is kept of a version beside its pages: results, manifests, verdicts
    site.py      the folder of versions: index, switcher, what GitHub Pages needs
    publish.py   adds a version, refuses what is not ready, checks what was published
    diff.py      numbers, verdicts, figures, audio, parameters, environment of two versions
    show.py      a difference as text, JSON, a page, and lines for the changelog
"""
