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

Why runs are copies of a template.  Processor time of a run beyond its notebook's own work, as
``python -m report bench-sweep`` prints it (audiocraft, étude, half a second of music), on two cores with six
times as much to do as they can, which makes every second longer than it is on an idle machine:

========================================================  ======
a process of its own (papermill in a loop)                15.3 s
a copy of a template, whose loading 24 runs share          1.0 s
========================================================  ======

A kernel that is kept, its names deleted between runs, would be cheaper still, and is not taken.  What a run
leaves in modules stays there: recorded results, settings of matplotlib, caches, hooks on a model.  Which
modules a run has loaded, a part of its key, would hang on the runs before it.  A copy begins where a fresh
process begins.
"""
