"""A paper from the same results as the book: ``python -m report paper``.

::

    paper/*.md       the texts: 1 technical report, 2 workshop paper, 3 full paper, and their parts
    source.py        reads a text and looks up every number, figure, table and verdict that it names
    render.py        from parsed Markdown to a dialect
    latex.py         the dialect of LaTeX
    html.py          the dialect of the page that is printed where there is no LaTeX
    cited.py         the bibliography, by pybtex
    build.py         writes sources and tarball, and makes the PDF

A text is Markdown with three roles of the book: ``{glue:text}`phases/0-foundation.ipynb::clips:.0f```,
``{cite}`key``` and ``{numref}`fig-0-foundation-words```.  Blocks bring in what runs left::

    ```{figure-of} 0-foundation words
    ```
    ```{table-of} 1-emotion-geometry gains
    ```
    ```{verdicts-of} geometry
    ```
    ```{answer}
    ```
    ```{include} parts/methods.md
    ```
"""
