"""The app of ``emolab serve --app``: pages for the team, on routes that know their people by personal links.

Routes parse, call a step of ``loop/`` and answer. One file a noun: ``session`` (who is it), ``shell`` (pages and their
parts), ``vote``.
"""
