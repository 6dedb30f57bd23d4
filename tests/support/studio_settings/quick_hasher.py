"""How a Label Studio for tests keeps passwords."""

from __future__ import annotations

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """Django's own method with fewer rounds."""

    iterations = 5_000
