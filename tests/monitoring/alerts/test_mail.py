"""Mail is handed in at a real server, encrypted as the settings say; the password is in no message."""

from __future__ import annotations

import email
import email.policy
import socket
from pathlib import Path

import pytest
import trustme

from emolab.config import AlertsConfig, load
from emolab.errors import ConfigError, EmolabError
from emolab.monitoring.alerts.alarm import Alarm
from emolab.monitoring.alerts.channels import attempts, mail
from tests.support.listeners import MailRoom, mail_room

ALARM = Alarm(
    key="accuracy:m1",
    model="4f2a" * 16,
    title="Weniger Gesichter werden erkannt \u2014 80 %",
    words="The accuracy has fallen from 84 % to 80 %.\nType: emolab monitor",
    window="week of 2026-10-26",
)
PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited between attempts, which take none here."""
    waited: list[float] = []
    monkeypatch.setattr(attempts, "sleep", waited.append)
    monkeypatch.delenv(mail.PASSWORD, raising=False)
    return waited


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that this process trusts."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


def settings(room: MailRoom, scheme: str = "plain", user: str = "") -> AlertsConfig:
    return AlertsConfig(
        email_to=("ann@example.org", "bob@example.org"),
        email_from="emolab@example.org",
        smtp=f"{scheme}://{f'{user}@' if user else ''}127.0.0.1:{room.port}",
    )


def tell(config: AlertsConfig, *alarms: Alarm) -> str:
    channel = mail.connect(config, Path())
    assert channel is not None
    return channel(alarms or (ALARM,), "faces")


def failure(config: AlertsConfig) -> EmolabError:
    with pytest.raises(EmolabError) as caught:
        tell(config)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def test_one_letter_tells_of_all_alarms() -> None:
    with mail_room() as room:
        assert tell(settings(room), ALARM, ALARM) == ""
    (envelope,) = room.letters
    assert envelope.mail_from == "emolab@example.org"
    assert envelope.rcpt_tos == ["ann@example.org", "bob@example.org"]
    letter = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)
    assert letter["Subject"] == "[faces] 2 alarms: Weniger Gesichter werden erkannt \u2014 80 % ..."
    assert letter["Auto-Submitted"] == "auto-generated"
    assert str(letter["Message-ID"]).endswith("@example.org>")
    text = letter.get_body().get_content()  # type: ignore[union-attr]
    assert text.count("Type: emolab monitor") == 2
    assert "Model: 4f2a4f2a4f2a. Window: week of 2026-10-26." in text


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # there is TLS from the start
@pytest.mark.parametrize(("scheme", "implicit"), [("smtp", False), ("smtps", True)])
def test_mail_is_encrypted_and_signed_in(
    scheme: str, implicit: bool, trusted: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mail.PASSWORD, PASSWORD)
    with mail_room(trusted, implicit=implicit, signed_in=True) as room:
        tell(settings(room, scheme, "alerts%40example.org"))
    assert room.users == ["alerts@example.org"]
    assert len(room.letters) == 1
    assert room.encrypted == [not implicit]  # with TLS from the start, the server's session knows nothing of it


@pytest.mark.parametrize(("scheme", "implicit"), [("smtp", False), ("smtps", True)])
def test_a_certificate_of_nobody_is_refused(scheme: str, implicit: bool, authority: trustme.CA) -> None:
    with mail_room(authority, implicit=implicit) as room:
        assert "its certificate is not trusted (" in failure(settings(room, scheme)).message
    assert room.letters == []


def test_a_server_without_encryption_gets_nothing() -> None:
    with mail_room() as room:
        error = failure(settings(room, "smtp"))
    assert "offers neither STARTTLS nor a sign-in" in error.message
    assert "plain://" in str(error.hint)
    assert room.letters == []


def test_tls_from_the_start_at_a_port_without_it_is_explained() -> None:
    with mail_room() as room:
        error = failure(settings(room, "smtps"))
    assert "does not speak TLS this way" in error.message
    assert error.hint == "Write smtp:// for STARTTLS, smtps:// for TLS from the start."


def test_a_wrong_password_is_said_without_it(trusted: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mail.PASSWORD, "wrong battery")
    with mail_room(trusted, signed_in=True) as room:
        error = failure(settings(room, "smtp", "alerts"))
    assert error.message == f"127.0.0.1:{room.port} does not accept the user or $EMOLAB_SMTP_PASSWORD (535)."
    assert "battery" not in str(error)


@pytest.mark.parametrize(("user", "password"), [("alerts", "päss battery"), ("%C3%A4nn", "battery")])
def test_a_sign_in_that_mail_cannot_carry_is_said_without_it(
    user: str, password: str, trusted: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mail.PASSWORD, password)
    with mail_room(trusted, signed_in=True) as room:
        error = failure(settings(room, "smtp", user))
    assert "a sign-in takes letters of ASCII alone" in error.message
    assert "battery" not in str(error)


def test_a_busy_server_is_tried_again(pauses: list[float]) -> None:
    with mail_room() as room:
        room.answers = ["451 later", "421 closing", "250 taken"]
        tell(settings(room))
    assert len(room.letters) == 1
    assert pauses == [1.0, 4.0]


def test_a_server_that_refuses_is_not_tried_again(pauses: list[float]) -> None:
    with mail_room() as room:
        room.answers = ["554 this is spam"]
        assert failure(settings(room)).message == f"127.0.0.1:{room.port} answered 554: this is spam."
    assert pauses == []


def test_a_box_that_is_not_there_is_named_and_the_others_hear_once() -> None:
    with mail_room(refused=["bob@example.org"]) as room:
        assert tell(settings(room)) == "The server refused bob@example.org."
    assert len(room.letters) == 1
    with mail_room(refused=["ann@example.org", "bob@example.org"]) as room:
        assert failure(settings(room)).message == f"127.0.0.1:{room.port} refused every recipient (550, 550)."


def test_nobody_there_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        room = MailRoom()
        room.port = taken.getsockname()[1]
        error = failure(settings(room))
    assert error.message == f"127.0.0.1:{room.port} could not be reached: Connection refused, 3 times."


def test_half_of_the_settings_is_an_error_and_none_is_none() -> None:
    assert mail.connect(AlertsConfig(), Path()) is None
    with pytest.raises(ConfigError, match=r"E-mail needs alerts\.email_from and alerts\.smtp too\."):
        mail.connect(AlertsConfig(email_to=("ann@example.org",)), Path())
    given = AlertsConfig(email_to=("a@b",), email_from="a@b", smtp="smtp://alerts@mail.example.org")
    with pytest.raises(ConfigError, match=r"names a user, and \$EMOLAB_SMTP_PASSWORD is not set"):
        mail.connect(given, Path())


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('smtp = "mail.example.org"', "alerts.smtp is no address."),
        (f'smtp = "smtp://{"a" * 64}.org"', "alerts.smtp is no address."),
        ('smtp = "smtp://mail..org"', "alerts.smtp is no address."),
        ('smtp = "http://mail.example.org"', "alerts.smtp begins with none of smtp://, smtps:// and plain://."),
        ('smtp = "smtp://ann:hunter22@mail.example.org"', "alerts.smtp holds a password."),
        ('smtp = "plain://ann@mail.example.org"', "alerts.smtp would send a password without encryption."),
        ('smtp = "smtp://mail.example.org/hunter22"', "alerts.smtp has something behind the host and its port."),
        ('email_to = ["ann"]', 'alerts.email_to has "ann" in it; expected an address such as ann@example.org.'),
        ('email_to = ["jörg@example.org"]', 'alerts.email_to has "jörg@example.org" in it; expected an address'),
        (
            'email_from = "a@b\\nBcc: c@d"',
            'alerts.email_from has "a@b\\nBcc: c@d" in it; expected an address such as ann@example.org.',
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(setting: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "emolab.toml"
    file.write_text(f"[alerts]\n{setting}\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.message.startswith(said)
    assert "hunter22" not in str(caught.value)
