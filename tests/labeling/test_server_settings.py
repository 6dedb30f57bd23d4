"""The settings under which the embedded Label Studio runs: writers take turns, and no request is carried out twice."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emolab.labeling.server import installation

pytest.importorskip("django")

#: Label Studio's settings (1.20 to 1.23) as far as they matter here. While it is read, the module looks at itself.
STOCK = """
import django.conf
SENTRY_DSN = ''
assert django.conf.settings.SENTRY_DSN == ''
INSTALLED_APPS = []
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'there.sqlite3', 'OPTIONS': {}}}
MIDDLEWARE = ['core.middleware.ContextLogMiddleware', 'core.middleware.DatabaseIsLockedRetryMiddleware']
"""
SHOW = (
    "from django.conf import settings as s; "
    "print(s.INSTALLED_APPS, s.MIDDLEWARE, s.DATABASES['default'], s.SENTRY_DSN == '')"
)


def python(code: str, *path: Path, settings: str = "emolab_studio.settings") -> subprocess.CompletedProcess[str]:
    """Run ``code`` with emolab's folder of settings on the path, and ``path`` behind it."""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, [installation.SETTINGS, *path])),
        "DJANGO_SETTINGS_MODULE": settings,
    }
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def stock(folder: Path, source: str) -> Path:
    """A package label_studio with nothing but these settings."""
    module = folder / "label_studio" / "core" / "settings" / "label_studio.py"
    module.parent.mkdir(parents=True)
    for package in (module.parent, module.parent.parent, module.parent.parent.parent):
        (package / "__init__.py").touch()
    module.write_text(source)
    return folder


def test_only_the_database_and_the_retries_differ_from_label_studios_own_settings(tmp_path: Path) -> None:
    seen = python(SHOW, stock(tmp_path, STOCK))
    assert "DatabaseIsLockedRetryMiddleware" not in seen.stdout, seen.stderr
    assert "['core.middleware.ContextLogMiddleware', 'emolab_studio.read_only_exports.ReadingOnly']" in seen.stdout
    assert "['emolab_studio.server_app.ServerApp']" in seen.stdout
    assert "'ENGINE': 'emolab_studio', 'NAME': 'there.sqlite3'" in seen.stdout
    assert "'transaction_mode': 'IMMEDIATE'" in seen.stdout
    assert "PRAGMA synchronous=FULL" in seen.stdout
    assert seen.stdout.rstrip().endswith("True")
    assert seen.stderr.encode().startswith(installation.IN_FORCE)


#: Label Studio's own way to hear no signals (1.23), then two threads that take turns in it, with and without emolab's.
SIGNALS = """
import sys, threading
from django.db.models.signals import post_save, pre_delete
from emolab_studio.silent_signals import silence_one_thread

class Silence:
    def __init__(self):
        self.disabled_signals, self.stashed = [post_save, pre_delete], {}
    def __enter__(self):
        for signal in self.disabled_signals:
            self.stashed[signal], signal.receivers = signal.receivers, []
    def __exit__(self, *_):
        for signal in self.disabled_signals:
            signal.receivers = self.stashed.pop(signal)

if sys.argv[1:] == ["mended"]:
    silence_one_thread(Silence)
class Task: pass
heard = []
def hear(sender, **named): heard.append(threading.current_thread().name)
for signal in (post_save, pre_delete):
    signal.connect(hear, sender=Task)
def told(): return len(post_save.send(sender=Task)), len(pre_delete.send(sender=Task)), pre_delete.has_listeners(Task)
steps = [threading.Barrier(2) for _ in range(4)]
said = {}
def first():
    with Silence():
        steps[0].wait(); steps[1].wait(); said["first inside"] = told()
    said["first outside"] = told(); steps[2].wait(); steps[3].wait()
def second():
    steps[0].wait()
    with Silence():
        with Silence():
            pass
        said["second inside"] = told(); steps[1].wait(); steps[2].wait()
    said["second outside"] = told(); steps[3].wait()
threads = [threading.Thread(target=each) for each in (first, second)]
for each in threads: each.start()
for each in threads: each.join()
said["at last"] = told()
print(said)
"""


@pytest.mark.parametrize("mended", [True, False])
def test_who_hears_no_signals_silences_nobody_else_and_puts_them_back(tmp_path: Path, *, mended: bool) -> None:
    done = python(f"import sys; sys.argv = ['-c', {'mended' if mended else 'stock'!r}]\n{SIGNALS}", tmp_path)
    said = ast.literal_eval(done.stdout or done.stderr)
    silent, loud = (0, 0, False), (1, 1, True)
    assert (said["first inside"], said["second inside"]) == (silent, silent)
    assert ({said[name] for name in ("first outside", "second outside", "at last")} == {loud}) == mended
    assert said["at last"] == (loud if mended else silent)


#: What emolab's part of the server does with a release whose module of helpers is this.
READY = "import emolab_studio; from emolab_studio.server_app import ServerApp; ServerApp('s', emolab_studio).ready()"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "This label-studio has no module core, which emolab changes"),
        ("class temporary_disconnect_all_signals: pass", "switches signals off in a way that emolab does not know"),
        ("", ""),
    ],
)
def test_a_release_with_other_signals_is_refused_and_one_without_is_fine(
    tmp_path: Path, source: str | None, said: str
) -> None:
    if source is not None:
        (tmp_path / "core" / "utils").mkdir(parents=True)
        (tmp_path / "core" / "utils" / "common.py").write_text(source)
    done = python(READY, tmp_path)
    assert (done.returncode, "ImproperlyConfigured" in done.stderr) == (int(bool(said)), bool(said)), done.stderr
    assert said in done.stderr


#: Every field of every model of a package of Django's own, copied by its ``clone`` and by the quick one, twice each.
COPIES = """
import django
from django.apps import apps
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"])
django.setup()
fields = [f for model in apps.get_models() for f in (*model._meta.local_fields, *model._meta.local_many_to_many)]
own = [field.clone().deconstruct() for field in fields]
from emolab_studio.migrations_speed import speed_up
speed_up()
assert [field.clone().deconstruct() for field in fields] == own
assert [field.clone().clone().deconstruct() for field in fields] == own
assert all(field.clone() is not field.clone() for field in fields)
print(len(own))
"""


def test_fields_of_migrations_are_copied_as_django_copies_them(tmp_path: Path) -> None:
    done = python(COPIES, tmp_path)
    assert int(done.stdout or 0) > 20, done.stderr


def test_only_the_process_that_creates_the_database_copies_fields_its_own_way(tmp_path: Path) -> None:
    show = f"{SHOW}; from django.db.models import Field; print(Field.clone.__module__)"
    asked = f"import os; os.environ['EMOLAB_CREATES_DATABASE'] = 'true'; {show}"
    where = stock(tmp_path, STOCK)
    assert python(show, where).stdout.rstrip().endswith("django.db.models.fields")
    assert python(asked, where).stdout.rstrip().endswith("emolab_studio.migrations_speed")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("MIDDLEWARE =", "MIDDLEWARES =", "lacks one of the settings DATABASES, MIDDLEWARE, INSTALLED_APPS"),
        ("DATABASES =", "DATABASE =", "lacks one of the settings DATABASES, MIDDLEWARE, INSTALLED_APPS"),
        ("INSTALLED_APPS =", "APPS =", "lacks one of the settings DATABASES, MIDDLEWARE, INSTALLED_APPS"),
        ("django.db.backends.sqlite3", "django.db.backends.postgresql", "keeps its data in SQLite, found django.db"),
        (
            "DatabaseIsLockedRetryMiddleware",
            "RetryEverything",
            "a way that emolab does not know: core.middleware.Retry",
        ),
        ("DatabaseIsLockedRetryMiddleware", "OnDatabaseLocked", "does not know: core.middleware.OnDatabaseLocked"),
    ],
)
def test_a_label_studio_that_the_settings_do_not_fit_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    seen = python(SHOW, stock(tmp_path, STOCK.replace(old, new)))
    assert seen.returncode == 1
    assert "ImproperlyConfigured" in seen.stderr.splitlines()[-1]
    assert said in seen.stderr.splitlines()[-1]
    assert installation.IN_FORCE.decode() not in seen.stderr


def test_an_old_django_is_refused(tmp_path: Path) -> None:
    seen = python(f"import django; django.VERSION = (4, 2, 0, 'final', 0); {SHOW}", stock(tmp_path, STOCK))
    assert "The embedded server needs Django 5.1 or newer" in seen.stderr.splitlines()[-1]


def test_a_label_studio_without_retries_is_fine(tmp_path: Path) -> None:
    seen = python(SHOW, stock(tmp_path, STOCK.replace(", 'core.middleware.DatabaseIsLockedRetryMiddleware'", "")))
    assert (seen.returncode, "emolab_studio.read_only_exports.ReadingOnly" in seen.stdout) == (0, True)


#: Threads that each read a counter and write it back, as Label Studio does with its summaries.
COUNT = """
import sys, threading
from django.conf import settings
settings.configure(DATABASES={'default': {'ENGINE': sys.argv[1], 'NAME': sys.argv[2], 'OPTIONS': {OPTIONS}}})
import django; django.setup()
from django.db import connection, transaction, OperationalError
with connection.cursor() as c:
    c.execute('PRAGMA journal_mode=WAL')
    c.execute('CREATE TABLE t (n INTEGER)'); c.execute('INSERT INTO t VALUES (0)')
refused = []
def work():
    for _ in range(40):
        try:
            with transaction.atomic(), connection.cursor() as c:
                c.execute('SELECT n FROM t'); n = c.fetchone()[0]
                c.execute('UPDATE t SET n = %s', [n + 1])
        except OperationalError as error:
            refused.append(str(error))
    connection.close()
threads = [threading.Thread(target=work) for _ in range(5)]
[t.start() for t in threads]; [t.join() for t in threads]
with connection.cursor() as c:
    c.execute('SELECT n FROM t'); print(c.fetchone()[0], len(refused))
"""
WRITERS = "'transaction_mode': 'IMMEDIATE', 'timeout': 60"


def run(code: str, *arguments: object, options: str = WRITERS) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code.replace("{OPTIONS}", "{" + options + "}"), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(installation.SETTINGS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_five_that_read_and_then_write_wait_for_each_other(tmp_path: Path) -> None:
    assert run(COUNT, "emolab_studio", tmp_path / "db") == "200 0"


#: One connection reads on and on while another writes; then the first one writes, as when Label Studio deletes tasks.
STALE = """
import sys, sqlite3
from django.conf import settings
settings.configure(DATABASES={'default': {'ENGINE': sys.argv[1], 'NAME': sys.argv[2], 'OPTIONS': {OPTIONS}}},
                   INSTALLED_APPS=['django.contrib.contenttypes'])
import django; django.setup()
from django.core.management import call_command
from django.db import connection, transaction
call_command('migrate', verbosity=0)
from django.contrib.contenttypes.models import ContentType
ContentType.objects.bulk_create(ContentType(app_label='a', model=str(i)) for i in range(1000))
rows = ContentType.objects.values_list('pk', flat=True).iterator(chunk_size=100)
next(rows)
other = sqlite3.connect(sys.argv[2]); other.execute("UPDATE django_content_type SET model='x' WHERE model='7'")
other.commit()
with transaction.atomic():
    print(ContentType.objects.filter(model__gt='5').delete()[0] > 0, sum(1 for _ in rows))
"""


def test_a_write_in_the_middle_of_a_long_read_waits_too(tmp_path: Path) -> None:
    assert run(STALE, "emolab_studio", tmp_path / "db") == "True 1000"


#: While an export reads in its transaction, somebody else writes; then a writer that waits in vain is told so.
EXPORT = """
import sys, sqlite3
from django.conf import settings
settings.configure(DATABASES={'default': {'ENGINE': 'emolab_studio', 'NAME': sys.argv[1], 'OPTIONS': {OPTIONS}}})
import django; django.setup()
from django.db import connection, transaction
from emolab_studio.base import current
with connection.cursor() as c:
    c.execute('CREATE TABLE t (n INTEGER)'); c.execute('INSERT INTO t VALUES (0)')
other = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
current.reading = True
with transaction.atomic(), connection.cursor() as c:
    c.execute('SELECT n FROM t'); before = c.fetchone()[0]
    other.execute('UPDATE t SET n = 1')
    c.execute('SELECT n FROM t'); print(before, c.fetchone()[0])
current.reading = False
with connection.cursor() as c:
    c.execute('SELECT n FROM t'); print(c.fetchone()[0])
    other.execute('BEGIN IMMEDIATE')
    try:
        c.execute('UPDATE t SET n = 2')
    except django.db.OperationalError as error:
        print(error)
    try:
        transaction.atomic().__enter__()
    except django.db.OperationalError as error:
        print(error)
"""


def test_an_export_holds_nobody_up_and_sees_one_moment(tmp_path: Path) -> None:
    said = run(EXPORT, tmp_path / "db", options="'transaction_mode': 'IMMEDIATE', 'timeout': 0.05").splitlines()
    assert said[:2] == ["0 0", "1"]


def test_a_wait_in_vain_is_no_locked_database_which_label_studio_would_try_again(tmp_path: Path) -> None:
    said = run(EXPORT, tmp_path / "db", options="'transaction_mode': 'IMMEDIATE', 'timeout': 0.05").splitlines()
    assert said[2:] == ["the database stayed busy: other requests kept writing for 0 s"] * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("request_line", "reads"),
    [
        ("POST /api/projects/7/exports/", True),
        ("GET /api/projects/7/export", True),
        ("GET /api/projects/7/exports/", False),
        ("POST /api/projects/7/exports/3/convert", False),
        ("POST /api/projects/7/import", False),
        ("DELETE /api/projects/7/exports/3", False),
        ("POST /api/tasks/3/annotations/", False),
        ("GET /api/projects/7/next", False),
    ],
)
def test_only_exports_are_taken_for_reading(request_line: str, reads: bool) -> None:
    code = (
        "import sys; from types import SimpleNamespace as N\n"
        "from django.conf import settings; settings.configure()\n"
        "from emolab_studio.base import current; from emolab_studio.read_only_exports import ReadingOnly\n"
        "method, path = sys.argv[1].split()\n"
        "print(ReadingOnly(lambda _: current.reading)(N(method=method, path_info=path)), current.reading)"
    )
    assert run(code, request_line) == f"{reads} False"
