#!/usr/bin/env bash
# Makes ./.venv ready for `make demo` and `make test`. Safe to run again; quick when nothing has changed.
#
#   scripts/setup.sh          the environment, and MongoDB for FiftyOne
#   scripts/setup.sh test     the same, Chromium for the tests that look at pages, PostgreSQL for those of a shared
#                             catalog, slowhttptest and Prometheus for those of the server
#   scripts/setup.sh again    the same, looking at everything again even when nothing seems to have changed
#
# Uses only what is missing: Python 3.11 or newer, python3-venv, libcurl4 and Chromium come from Debian or Ubuntu
# (through sudo when not root); everything else lives in .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
. scripts/mongodb.sh

for_what=${1:-demo}
stamp=.venv/share/emolab/setup.stamp
overrides=scripts/overrides.txt

wanted_stamp() {
    {
        printf '%s\n' "$PWD"
        .venv/bin/python --version
        cat setup.cfg pyproject.toml scripts/*
        # Another home for the database means another look at it.
        [ -n "${FIFTYONE_DATABASE_URI:-}" ] && printf 'database by address\n'
        command -v mongod || true
    } 2>/dev/null | sha256sum | cut -d' ' -f1
}

# Whether a Python is new enough, and finished: Ubuntu 22.04 has a release candidate of 3.11 that PyTorch cannot use.
python_will_do() {
    "$1" -c 'import sys; sys.exit(not (3, 11, 0, "final") <= sys.version_info < (3, 14))' 2>/dev/null
}

# Prints such a Python, installing one when the machine has none.
find_python() {
    local candidate
    for candidate in python3 python3.11 python3.12 python3.13; do
        if command -v "$candidate" >/dev/null && python_will_do "$candidate"; then
            printf '%s' "$candidate"
            return 0
        fi
    done
    install_debian python3.11 python3.11-venv && python_will_do python3.11 && printf 'python3.11'
}

make_environment() {
    local python version
    if [ -x .venv/bin/python ] && python_will_do .venv/bin/python && .venv/bin/python -c 'import pip' 2>/dev/null; then
        return 0
    fi
    python=$(find_python) || die "emolab needs Python 3.11, 3.12 or 3.13, and this machine has $(python3 --version 2>&1 || echo none)." \
        "$(ask_for python3.11 python3.11-venv)" "Ubuntu 22.04 has only a release candidate of 3.11; there, take one from python.org or pyenv."
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        install_debian "python$version-venv" || install_debian python3-venv ||
            die "$python cannot make virtual environments." "$(ask_for "python$version-venv")"
    fi
    step "Virtual environment .venv ($("$python" --version))"
    "$python" -m venv --clear .venv
}

# pip's settings for a company's mirror hold for uv as well.
borrow_pip_settings() {
    local index
    index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ] && [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX="$index"; fi
    if [ -n "${PIP_CERT:-}" ] && [ -z "${SSL_CERT_FILE:-}" ]; then export SSL_CERT_FILE="$PIP_CERT"; fi
    export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-180}" UV_LINK_MODE="${UV_LINK_MODE:-copy}"
}

install_packages() {
    local free quiet=-q
    if [ -t 2 ]; then quiet=; fi # somebody is watching: show the downloads
    free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
    if [ ! -d .venv/share/emolab ] && [ "$free" -lt 12 ]; then
        die "the environment takes about 8 GB (PyTorch alone 5), and here are $free GB free." \
            "Free some space, or clone onto a larger disk."
    fi
    if [ -f "$stamp" ]; then step "Python packages"; else step "Python packages (about 8 GB, a few minutes)"; fi
    .venv/bin/python -m pip install -q --upgrade 'uv>=0.5' >&2 </dev/null ||
        die "pip could not install uv." "Check the network, or pip's settings (.venv/bin/pip config list), and run this again."
    borrow_pip_settings
    # silero-vad and resemblyzer: tests and benchmarks read a file of each; what their own code needs (torchaudio) is left out.
    # Compiled now, because an environment with PYTHONDONTWRITEBYTECODE would compile at every start (torch: 11 s).
    # shellcheck disable=SC2086
    .venv/bin/uv pip install $quiet --python .venv/bin/python --compile-bytecode --overrides "$overrides" \
        -e '.[all,dev]' 'silero-vad>=6,<7' 'resemblyzer>=0.1.4,<0.2' </dev/null >&2 ||
        die "the Python packages could not all be installed; the lines above say why." "Run this again: what has arrived is kept."
    .venv/bin/python scripts/one_opencv.py || die "OpenCV does not work here."
}

# Chromium, for the tests that look at pages in a browser. Ubuntu's package is a snap, which containers cannot run.
install_browser() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        if command -v "$name" >/dev/null && timeout 30 "$name" --version >/dev/null 2>&1; then return 0; fi
    done
    if compgen -G "${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}/chromium-*" >/dev/null; then return 0; fi
    step "Chromium, for the browser tests"
    if ! grep -qi '^ID=ubuntu' /etc/os-release 2>/dev/null && install_debian chromium fonts-dejavu-core; then return 0; fi
    if timeout --kill-after=10 600 .venv/bin/python -m playwright install chromium </dev/null >&2; then
        as_root timeout 900 .venv/bin/python -m playwright install-deps chromium </dev/null >&2 ||
            say "Chromium's libraries may be missing: $(ask_for libnss3 libatk-bridge2.0-0 libgbm1 libasound2)"
        return 0
    fi
    say "No Chromium: the tests marked \"browser\" will be skipped. To have them: $(ask_for chromium)"
}

# PostgreSQL, for the tests of a shared catalog; only its programs are used, never a system server.
install_postgresql() {
    if compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || command -v initdb >/dev/null; then return 0; fi
    step "PostgreSQL, for the tests of a shared catalog"
    if install_debian postgresql; then return 0; fi
    say "No PostgreSQL: those tests will be skipped. To have them: $(ask_for postgresql)"
}

# slowhttptest, which attacks the server of `emolab serve` in its tests.
install_slowhttptest() {
    if command -v slowhttptest >/dev/null; then return 0; fi
    step "slowhttptest, for the tests of the server"
    if install_debian slowhttptest; then return 0; fi
    say "No slowhttptest: those tests will be skipped. To have them: $(ask_for slowhttptest)"
}

# Prometheus, which the tests let read `emolab serve`. Unpacked into .venv, without root rights: Debian's package would
# start a server of its own.
install_prometheus() {
    local work place=.venv/share/emolab/prometheus
    if command -v promtool >/dev/null && command -v prometheus >/dev/null; then return 0; fi
    if "$place/promtool" --version >/dev/null 2>&1 && "$place/prometheus" --version >/dev/null 2>&1; then return 0; fi
    step "Prometheus, for the tests of monitoring"
    work=$(mktemp -d)
    if has_apt && command -v dpkg >/dev/null && download_debian "$work" prometheus && dpkg -x "$work"/prometheus_*.deb "$work/root"; then
        mkdir -p "$place"
        cp "$work/root/usr/bin/prometheus" "$work/root/usr/bin/promtool" "$place/"
    fi
    rm -rf "$work"
    if "$place/promtool" --version >/dev/null 2>&1; then return 0; fi
    say "No Prometheus: those tests will be skipped. To have them: $(ask_for prometheus)"
}

main() {
    case "$for_what" in demo | test | again) ;; *) die "unknown use \"$for_what\"" "scripts/setup.sh [test|again]" ;; esac
    [ -f setup.cfg ] || die "no setup.cfg in $PWD" "Run this from a clone of emolab."
    exec 9<scripts/setup.sh
    if command -v flock >/dev/null && ! flock -n 9; then
        say "another set-up is at work here; waiting for it"
        flock 9
    fi
    if [ "$for_what" = again ] || [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$(wanted_stamp)" ]; then
        make_environment
        install_packages
        install_mongodb || true
        mkdir -p "$(dirname "$stamp")"
        wanted_stamp >"$stamp"
        step "Ready. \".venv/bin/emolab doctor\" shows what works here."
    fi
    if [ "$for_what" = test ]; then
        install_browser
        install_postgresql
        install_slowhttptest
        install_prometheus
    fi
}

main
