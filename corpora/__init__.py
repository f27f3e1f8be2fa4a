"""Public data sets with labels of emotion, as plug-ins: prepare, check, convert.

Each set is one module with one :class:`corpora.dataset.DataSet`, registered under the entry point group
``interp.corpora``.  The sets themselves are fetched from their authors, under their terms.
"""
