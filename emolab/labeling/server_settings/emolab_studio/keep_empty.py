"""Writes the database to a second file when all migrations are applied, before anybody has an account in it."""

from __future__ import annotations

import sys
from typing import Any

from django.apps import apps
from django.db.models.signals import post_migrate


def write(target: str) -> None:
    """Let this process write its database to ``target`` once; where that fails, only the log says so."""

    def migrated(sender: Any, **_: object) -> None:
        from django.db import connection

        if sender is not [app for app in apps.get_app_configs() if app.models_module is not None][-1]:
            return
        try:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM INTO %s", [target])
        except Exception as error:
            print(f"the empty database was not kept: {error}", file=sys.stderr)  # noqa: T201

    post_migrate.connect(migrated, weak=False)
