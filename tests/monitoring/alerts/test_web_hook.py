"""A web hook is called with what Slack and the like show; whatever goes wrong, its address stays a secret."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from emolab.config import AlertsConfig, Config, load
from emolab.errors import ConfigError, EmolabError, ServerError
from emolab.monitoring.alerts.alarm import Alarm
from emolab.monitoring.alerts.channels import attempts, web_hook
from emolab.provenance.data_rows import _about
from emolab.workspace import Workspace
from tests.support.listeners import Hook, hook

ALARM = Alarm(
    key="drift:m1:class_mix",
    model="4f2a" * 16,
    title="More <!channel> & @here than before",
    words="33 % instead of 8 %.\nType: emolab monitor",
    window="week of 2026-10-26",
    detail={"p": 0.0001},
)
#: What nobody may read in a message.
SECRETS = ("secret-token-1", "T0000", "B0000", "services")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited between attempts, which take none here."""
    waited: list[float] = []
    monkeypatch.setattr(attempts, "sleep", waited.append)
    return waited


@pytest.fixture
def called(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    monkeypatch.delenv(web_hook.ENVIRONMENT, raising=False)
    with hook() as found:
        yield found


def tell(settings: AlertsConfig, *alarms: Alarm) -> str:
    channel = web_hook.connect(settings, Path())
    assert channel is not None
    return channel(alarms or (ALARM,), "faces")


def failure(settings: AlertsConfig) -> EmolabError:
    with pytest.raises(EmolabError) as caught:
        tell(settings)
    assert not [secret for secret in SECRETS if secret in str(caught.value) or secret in repr(caught.value)]
    chain = caught.value
    assert chain.__cause__ is None  # what Python prints below it would show the address
    return caught.value


def test_text_is_for_people_and_the_rest_for_programs(called: Hook) -> None:
    assert tell(AlertsConfig(webhook=called.url)) == ""
    (heard,) = called.heard
    assert heard["text"] == (
        "[faces] More &lt;!channel&gt; &amp; @\u200bhere than before\n\n"
        "More &lt;!channel&gt; &amp; @\u200bhere than before\n33 % instead of 8 %.\nType: emolab monitor\n"
        "Model: 4f2a4f2a4f2a. Window: week of 2026-10-26."
    )
    assert (heard["version"], heard["project"], heard["alarms"]) == (1, "faces", [ALARM.to_dict()])
    assert called.paths == ["/services/T0000/B0000/secret-token-1"]
    assert called.headers[0]["Content-Type"] == "application/json"


def test_the_form_text_holds_nothing_else_and_several_alarms_are_one_message(called: Hook) -> None:
    tell(AlertsConfig(webhook=called.url, webhook_form="text"), ALARM, ALARM)
    (heard,) = called.heard
    assert list(heard) == ["text"]
    assert heard["text"].startswith("[faces] 2 alarms: More")
    assert heard["text"].count("Window:") == 2


def test_a_busy_server_is_tried_again_as_it_wishes(called: Hook, pauses: list[float]) -> None:
    called.answers = [(503, {}, "busy"), (429, {"Retry-After": "7"}, ""), (200, {}, "ok")]
    tell(AlertsConfig(webhook=called.url))
    assert len(called.heard) == 3
    assert pauses == [1.0, 7.0]


def test_a_server_that_stays_busy_is_named_with_its_status(called: Hook, pauses: list[float]) -> None:
    called.answers = [(503, {"Retry-After": "86400"}, f"no: {called.url}")]
    error = failure(AlertsConfig(webhook=called.url))
    assert isinstance(error, ServerError)
    assert error.message == f"http://127.0.0.1:{port_of(called)} answered 503: no: ..., 3 times."
    assert error.status == 503
    assert pauses == [30.0, 30.0]


@pytest.mark.parametrize(("status", "said"), [(400, "invalid_payload"), (403, "invalid_token"), (404, "no_service")])
def test_what_cannot_help_is_not_tried_again(called: Hook, status: int, said: str) -> None:
    called.answers = [(status, {}, said)]
    assert failure(AlertsConfig(webhook=called.url)).message.endswith(f" answered {status}: {said}.")
    assert len(called.heard) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(called: Hook, status: int) -> None:
    with hook(path="/other") as other:
        called.answers = [(status, {"Location": other.url}, "")]
        error = failure(AlertsConfig(webhook=called.url))
        assert f"answered {status}, a redirect." in error.message
        assert error.hint == "Redirects are not followed. Name the address that it leads to."
        assert other.heard == []
    assert len(called.heard) == 1


def test_nobody_there_is_said_without_the_path(pauses: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = failure(AlertsConfig(webhook=f"http://user:hunter22@127.0.0.1:{port}/services/T0000/secret-token-1"))
    assert error.message == f"http://127.0.0.1:{port} could not be reached: Connection refused, 3 times."
    assert pauses == [1.0, 4.0]


def test_a_server_that_hangs_up_or_never_answers_is_an_error(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_hook, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(AlertsConfig(webhook=f"http://127.0.0.1:{silent.getsockname()[1]}/services/secret-token-1"))
    assert error.message.endswith("timed out, 3 times.")


def test_https_needs_a_certificate_that_is_trusted(
    pauses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with hook(authority) as secure:
        error = failure(AlertsConfig(webhook=secure.url))
        assert "its certificate is not trusted (" in error.message
        assert pauses == []
        assert secure.heard == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        tell(AlertsConfig(webhook=secure.url))
        assert len(secure.heard) == 1


def test_a_user_in_the_address_signs_in(called: Hook) -> None:
    tell(AlertsConfig(webhook=called.url.replace("//", "//ann:hunter22@")))
    assert called.headers[0]["Authorization"] == "Basic YW5uOmh1bnRlcjIy"
    assert called.headers[0]["Host"] == f"127.0.0.1:{port_of(called)}"


def test_the_environment_comes_before_the_settings(called: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(web_hook.ENVIRONMENT, called.url)
    tell(AlertsConfig(webhook="https://elsewhere.example.org/x"))
    tell(AlertsConfig())
    assert len(called.heard) == 2
    monkeypatch.setenv(web_hook.ENVIRONMENT, "ftp://secret-token-1")
    with pytest.raises(
        ConfigError, match=r"^\$EMOLAB_ALERT_WEBHOOK begins with neither https:// nor http://"
    ) as caught:
        web_hook.connect(AlertsConfig(), Path())
    assert "secret-token-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hooks.example.org/secret-token-1", "alerts.webhook is no address."),
        ("file:///etc/secret-token-1", "alerts.webhook is no address."),
        ("ftp://h/secret-token-1", "alerts.webhook begins with neither https:// nor http://."),
        ("https://h:99999/secret-token-1", "alerts.webhook is no address."),
        ("https://h/secret-token-1 x", "alerts.webhook is no address."),
        ("https://h/#secret-token-1", "alerts.webhook has a # in it, which no server would see."),
        ("https://h/sécret-token-1", "alerts.webhook has letters behind its host that no address can have."),
        ("https://h/?k=é&secret-token-1", "alerts.webhook has letters behind its host that no address can have."),
        (f"https://{'a' * 64}.org/secret-token-1", "alerts.webhook is no address."),
        ("https://hooks..org/secret-token-1", "alerts.webhook is no address."),
    ],
)
def test_an_address_that_cannot_be_called_is_refused_unseen(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "emolab.toml"
    file.write_text(f'[alerts]\nwebhook = "{text}"\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.message == said
    assert "secret-token-1" not in caught.value.message


def test_an_address_in_a_list_is_refused_unseen(tmp_path: Path) -> None:
    file = tmp_path / "emolab.toml"
    file.write_text('[alerts]\nwebhook = ["https://h/secret-token-1"]\n')
    with pytest.raises(ConfigError, match=r"alerts\.webhook is of another kind; expected text\.") as caught:
        load(file)
    assert "secret-token-1" not in str(caught.value)


def test_no_snapshot_holds_the_secret_of_an_address(tmp_path: Path) -> None:
    url = "https://hooks.example.org:8443/services/secret-token-1?k=secret-token-1"
    workspace = Workspace.init(tmp_path, classes=["joy", "anger"]).with_settings({"alerts.webhook": url})
    assert workspace.config.alerts.webhook == url
    assert workspace.config.to_dict()["alerts"]["webhook"] == "https://hooks.example.org:8443"
    assert "secret-token-1" not in repr(_about(workspace, None))
    assert Config().to_dict()["alerts"]["webhook"] == ""


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("/notify?token=SECRET-1&b=2", "token SECRET-1 is none of ours"),
        ("/notify?a=1;token=SECRET-1", "token SECRET-1 is none of ours"),
        ("/notify?token=%53ECRET-1", "token SECRET-1 is none of ours"),
        ("/notify?token=SE+CRET-1", "token SE CRET-1 is none of ours"),
        ("/services/SECRET%2B1", "no service SECRET+1"),
        ("/services/SECRET-1", "no service secret-1"),
        ("/services/T0000/SECRET-1", 'no service "\\/services\\/T0000\\/SECRET-1"'),
        ("/services/SECRET%201", "no service SECRET 1"),
    ],
)
def test_what_a_server_repeats_of_its_address_is_hidden(asked: str, said: str, pauses: list[float]) -> None:
    with hook(path=asked) as called:
        called.answers = [(403, {}, said)]
        told = str(failure(AlertsConfig(webhook=called.url)))
    assert " answered 403: " in told
    assert not [part for part in ("SECRET", "secret", "CRET") if part in told]


def test_a_sign_in_that_a_server_repeats_is_hidden(called: Hook) -> None:
    pair = base64.b64encode(b"ann:hunter22").decode()
    called.answers = [(401, {}, f"ann with hunter22 is Basic {pair}")]
    told = str(failure(AlertsConfig(webhook=called.url.replace("http://", "http://ann:hunter%322@"))))
    assert " answered 401: " in told
    assert not [part for part in (pair, "hunter22") if part in told]


def port_of(called: Hook) -> str:
    return called.url.split(":")[2].split("/")[0]
