"""Sweeps: one notebook, many values of its parameters, on one machine or many.

::

    spec.py       what is swept: grid, zip, list, random draws, conditions, a budget
    points.py     the points of a sweep, checked against the parameters cell
    drive.py      runs what is not there yet, here
    cluster.py    the same through Dask: workers here, a running scheduler, a batch queue
    warm.py       where a run's process comes from
    template.py   the process that loads once and is copied for each run
    table.py      results as one table
    page.py       the sweep's page in the book

A run of a sweep is a run like any other: made by :class:`report.attempt.Attempt`, kept under its key in
``build/runs``, done when its manifest says so.  So a sweep resumes by looking at what is there, and a phase
whose parameters equal a point's shares its run.
"""
