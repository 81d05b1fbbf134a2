# Pinned to an exact version. To pin its content too, append what this prints, as in python:3.13.9-slim-bookworm@sha256:…
#     docker buildx imagetools inspect --format '{{.Manifest.Digest}}' python:3.13.9-slim-bookworm
ARG BASE=python:3.13.9-slim-bookworm

# hadolint ignore=DL3006
FROM ${BASE} AS packages
# requirements-otel.txt has all of it, and what sends traces besides.
ARG REQUIREMENTS=requirements.txt
COPY ${REQUIREMENTS} /requirements.txt
# pip stays behind in an environment of its own. Two files may be lent to it, and neither is kept:
# `pip.conf`, which may name a mirror, and `ca.crt`, the roots that the mirror is verified by (cert=/run/secrets/ca.crt).
# What is compiled is told by content from what is not, so that no time stamp makes it stale or two builds differ.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt \
    python -m venv /installer \
    && python -m venv --without-pip /venv \
    && /installer/bin/pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check --no-compile \
        --only-binary :all: --require-hashes --requirement /requirements.txt \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv/lib

# hadolint ignore=DL3006
FROM ${BASE}
COPY --from=packages /venv /venv
WORKDIR /srv/gateway
COPY LICENSE app.py gunicorn.conf.py openapi.yaml openapi.json ./
COPY schemas/ schemas/
COPY gateway/ gateway/
# Compiled now, for the root file system may be read-only later; /tmp and /var/lib/gateway are all that must be writable.
RUN python -m compileall -q --invalidation-mode unchecked-hash . \
    && install -d -o 10001 -g 10001 /var/lib/gateway

ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GATEWAY_BIND=0.0.0.0:8080 \
    STORE_URL=/var/lib/gateway
# A number, so that Kubernetes can see for itself that it is not root.
USER 10001:10001
# What workers share. Keep it on a volume, so that idempotency keys outlast the container.
VOLUME /var/lib/gateway
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["python", "-c", "\
import http.client, os, sys; \
call = http.client.HTTPConnection('127.0.0.1', int(os.environ['GATEWAY_BIND'].rpartition(':')[2]), timeout=2); \
call.request('GET', '/livez'); \
sys.exit(call.getresponse().status != 200)"]
CMD ["gunicorn", "--config", "gunicorn.conf.py", "app:create_app()"]

# Last, for they differ from build to build: whatever stands above is taken from the builder's cache.
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="freshbooks-gateway" \
      org.opencontainers.image.description="A REST/JSON gateway in front of the FreshBooks Classic XML API" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
