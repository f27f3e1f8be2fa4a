"""The report builder: run notebooks, collect what they leave, bind it into a book."""

import sys

# nbformat imports jsonschema, which imports this where it is installed: a grammar of international addresses
# that takes a second and more of processor time in every process, for a format that no notebook has.
sys.modules.setdefault("rfc3987_syntax", None)
