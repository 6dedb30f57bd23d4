# Shared by the set-up scripts: messages, root rights, Debian packages. Sourced, never run.
# shellcheck shell=bash

PATH=$PATH:/usr/sbin:/sbin # ldconfig, for accounts that do not have it there

say() { printf '  %s\n' "$*" >&2; }
step() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() {
    printf '\nset-up stopped: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    exit 1
}

# Runs a command as root: directly, through sudo, or not at all (status 126).
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        sudo "$@"
    else
        return 126
    fi
}

has_apt() { command -v apt-get >/dev/null; }

apt_run() {
    local seconds=$1
    shift
    as_root env DEBIAN_FRONTEND=noninteractive timeout --kill-after=10 "$seconds" \
        apt-get -q -y -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 \
        -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2
}

apt_updated=no

# install_debian PACKAGE...: first from the lists at hand, then after one bounded `apt-get update`.
# A slow third-party source must not hold up the rest: an update that runs out of time is reported, and the
# install goes on with the lists that did arrive. Status 1: not installed; the caller says what that means.
install_debian() {
    has_apt || return 1
    as_root true || return 1
    say "Debian packages: $*"
    if [ "$apt_updated" = no ]; then
        if apt_run 900 install --no-install-recommends "$@" 2>/dev/null; then return 0; fi
        apt_run 120 update || say "apt-get update did not finish; going on with the lists that arrived"
        apt_updated=yes
    fi
    apt_run 900 install --no-install-recommends "$@"
}

# download_debian FOLDER PACKAGE: leaves the package's file in FOLDER; needs no root rights but for fresh lists.
download_debian() {
    local folder=$1 package=$2
    apt_download() {
        (cd "$folder" && timeout --kill-after=10 300 apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=1 \
            -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 download "$package" >/dev/null 2>&1 </dev/null)
    }
    if apt_download; then return 0; fi
    if [ "$apt_updated" = no ] && as_root true; then
        apt_run 120 update || say "apt-get update did not finish; going on with the lists that arrived"
        apt_updated=yes
    fi
    apt_download
}

# What to tell somebody whose machine lacks PACKAGE... and who may not install them.
ask_for() {
    if has_apt; then
        printf 'sudo apt-get update && sudo apt-get install -y %s' "$*"
    else
        printf 'install with your package manager: %s' "$*"
    fi
}
