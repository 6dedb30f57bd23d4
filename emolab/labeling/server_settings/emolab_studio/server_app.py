"""A part of Label Studio's process that mends what settings alone cannot."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured


class ServerApp(AppConfig):  # type: ignore[misc]  # Django has no types
    """Loaded as the last of Label Studio's apps."""

    name = "emolab_studio"

    def ready(self) -> None:
        """Projects may be deleted while people answer."""
        from emolab_studio.silent_signals import silence_one_thread

        try:
            common = import_module("core.utils.common")
        except ModuleNotFoundError as error:
            raise ImproperlyConfigured(f"This label-studio has no module {error.name}, which emolab changes") from error
        kind = getattr(common, "temporary_disconnect_all_signals", None)
        if kind is not None:  # a release without it switches no signals off
            silence_one_thread(kind)
