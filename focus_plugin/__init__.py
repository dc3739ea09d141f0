"""FOCUS for fairseq: give a multilingual encoder a vocabulary made for one language.

fairseq imports the ``tasks`` and ``models`` below by itself when this package is its ``--user-dir``, so this
file imports nothing.
"""

__version__ = "0.1.0"
