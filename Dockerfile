# emolab as a server for a CPU: models over HTTP, without root, on a read-only root file system.
#
#   docker build -t emolab .
#   docker run --rm -v faces:/workspace emolab serve keys add ann
#   docker run --rm --read-only --tmpfs /tmp -v faces:/workspace -p 127.0.0.1:8000:8000 emolab
#
# --build-arg EXTRAS=serve,label can talk to Label Studio too (compose.yaml); serve,label,train trains as well and is
# several times as large.
ARG BASE=debian:bookworm-slim

# hadolint ignore=DL3006
FROM ${BASE} AS build
ARG EXTRAS=serve
# The release of Debian is fixed by the base; a fixed build of each package would hold back security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY emolab ./emolab
RUN python3 -m venv /opt/emolab \
    && /opt/emolab/bin/pip install --no-cache-dir ".[${EXTRAS}]" \
    && /opt/emolab/bin/pip uninstall -y pip setuptools

# hadolint ignore=DL3006
FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /workspace --shell /usr/sbin/nologin emolab \
    && install -d -o emolab -g emolab -m 0700 /workspace
COPY --from=build /opt/emolab /opt/emolab
ENV PATH=/opt/emolab/bin:$PATH \
    HOME=/tmp \
    PORT=8000 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    EMOLAB_SERVE_KEYS=/workspace/keys.json
USER 10001
WORKDIR /workspace
VOLUME /workspace
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/ready', timeout=4)"]
ENTRYPOINT ["/usr/bin/tini", "--", "emolab"]
CMD ["serve", "face48", "--host", "0.0.0.0"]
