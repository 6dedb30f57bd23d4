"""E-mail, handed in at a server of one's own, encrypted but where the settings say otherwise."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from emolab.addresses import MailServer, mail_server
from emolab.config import AlertsConfig
from emolab.errors import ConfigError, ServerError
from emolab.monitoring.alerts.alarm import Alarm
from emolab.monitoring.alerts.channels import Tell, body, subject
from emolab.monitoring.alerts.channels.attempts import TryLater, attempt
from emolab.safe_text import visible

PASSWORD = "EMOLAB_SMTP_PASSWORD"  # noqa: S105 - the name of a variable
#: Seconds for each step of the conversation.
TIMEOUT = 15.0
#: Characters of a server's answer that are shown.
SHOWN = 120


def connect(settings: AlertsConfig, _: Path) -> Tell | None:
    """Mail to ``alerts.email_to`` from ``alerts.email_from`` by ``alerts.smtp``.

    Raises :class:`ConfigError` where one of the three is missing, or the password is. ``tell`` raises
    :class:`ServerError`.
    """
    given = {"email_to": settings.email_to, "email_from": settings.email_from, "smtp": settings.smtp}
    missing = [f"alerts.{name}" for name, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if missing:
        raise ConfigError(f"E-mail needs {' and '.join(missing)} too.", hint="Set it in emolab.toml, section [alerts].")
    server, password = mail_server(settings.smtp), os.environ.get(PASSWORD, "")
    if server.user and not password:
        raise ConfigError(f"alerts.smtp names a user, and ${PASSWORD} is not set.", hint=f"Type: export {PASSWORD}=...")

    def tell(alarms: Sequence[Alarm], project: str) -> str:
        letter = message(alarms, project, settings)
        refused = attempt(lambda: hand_in(letter, server, password, timeout=TIMEOUT))
        return f"The server refused {', '.join(refused)}." if refused else ""

    return tell


def message(alarms: Sequence[Alarm], project: str, settings: AlertsConfig) -> EmailMessage:
    """One letter about all ``alarms``, in plain text."""
    letter = EmailMessage()
    letter["Subject"] = subject(alarms, project)[:200]
    letter["From"], letter["To"] = settings.email_from, ", ".join(settings.email_to)
    letter["Date"] = formatdate(localtime=True)
    letter["Message-ID"] = make_msgid(domain=settings.email_from.rpartition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"  # no out-of-office answers
    letter.set_content(body(alarms) + "\n")
    return letter


def hand_in(letter: EmailMessage, server: MailServer, password: str, *, timeout: float) -> list[str]:
    """Give ``letter`` to ``server`` once; the recipients that it refused, where it took the letter for others.

    Raises :class:`TryLater` where another attempt may help, else :class:`ServerError`.
    """
    place = f"{server.host}:{server.port}"
    try:
        with _signed_in(server, password, timeout) as talk:
            refused = talk.send_message(letter)
    except smtplib.SMTPAuthenticationError as error:
        raise ServerError(f"{place} does not accept the user or ${PASSWORD} ({error.smtp_code}).") from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        text = f"{place} refused every recipient ({', '.join(map(str, codes))})."
        raise TryLater(text) if all(400 <= code < 500 for code in codes) else ServerError(text) from None
    except smtplib.SMTPNotSupportedError:
        raise ServerError(
            f"{place} offers neither STARTTLS nor a sign-in that is asked for.",
            hint="Write smtps:// where it speaks TLS from the start, plain:// where it has no encryption.",
        ) from None
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        text = f"{place} answered {error.smtp_code}: {_hidden(said, password)}."
        raise TryLater(text) if 400 <= error.smtp_code < 500 else ServerError(text) from None
    except UnicodeError:  # its words may hold a part of the password
        raise ServerError(
            f"{place} cannot be told the user or ${PASSWORD}: a sign-in takes letters of ASCII alone.",
            hint="Give the mail box of emolab another password.",
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise ServerError(f"{place}: its certificate is not trusted ({error.verify_message}).") from None
    except ssl.SSLError as error:
        hint = "Write smtp:// for STARTTLS, smtps:// for TLS from the start."
        raise ServerError(f"{place} does not speak TLS this way ({error.reason}).", hint=hint) from None
    except (OSError, smtplib.SMTPException) as error:
        said = error.strerror or type(error).__name__ if isinstance(error, OSError) else type(error).__name__
        raise TryLater(f"{place} could not be reached: {_hidden(said, password)}.") from None
    return sorted(refused)


def _signed_in(server: MailServer, password: str, timeout: float) -> smtplib.SMTP:
    """A conversation with ``server``, encrypted as its scheme says, with its user signed in."""
    context = ssl.create_default_context()
    talk: smtplib.SMTP
    if server.scheme == "smtps":
        talk = smtplib.SMTP_SSL(server.host, server.port, timeout=timeout, context=context)
    else:
        talk = smtplib.SMTP(server.host, server.port, timeout=timeout)
    try:
        if server.scheme == "smtp":
            talk.starttls(context=context)
        if server.user:
            talk.login(server.user, password)
    except BaseException:
        talk.close()
        raise
    return talk


def _hidden(text: str, password: str) -> str:
    """The server's words on one line, without ``password``."""
    shown = visible(" ".join(text.split()))
    return (shown.replace(password, "...") if password else shown)[:SHOWN].removesuffix(".")
