# Pinned to an exact version. To pin its content too, append what this prints, as in python:3.13.9-slim-bookworm@sha256:…
#     docker buildx imagetools inspect --format '{{.Manifest.Digest}}' python:3.13.9-slim-bookworm
ARG BASE=python:3.13.9-slim-bookworm

# hadolint ignore=DL3006
FROM ${BASE} AS packages
COPY requirements.txt /
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: --require-hashes \
        --requirement /requirements.txt

# hadolint ignore=DL3006
FROM ${BASE}
LABEL org.opencontainers.image.title="freshbooks-gateway" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=packages /venv /venv
WORKDIR /srv/gateway
COPY LICENSE app.py gunicorn.conf.py openapi.yaml openapi.json ./
COPY schemas/ schemas/
COPY gateway/ gateway/
# Compiled now, for the root file system may be read-only later; /tmp and /var/lib/gateway are all that must be writable.
RUN python -m compileall -q . \
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
