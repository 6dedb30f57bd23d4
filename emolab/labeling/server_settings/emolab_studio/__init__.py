"""Settings of the embedded Label Studio, and its SQLite backend (Django's name for it is this package's name).

The ``label-studio`` program loads this package, in whichever environment it lives. So nothing here imports emolab, and
only this package's folder is on that program's path.
"""
