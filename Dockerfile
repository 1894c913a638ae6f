# An image in two stages: the first one builds, the second one runs. The build tools are not in the image.
#
# Lines that change least come first: every line is a layer that is taken from the cache for as long as it and all lines
# before it are unchanged.

# Before the first FROM, so that the base can be swapped:
#   docker build --build-arg base_image=python:3.13-alpine .
# The version is fixed to the minor: bug fixes of Python come with each build, surprises don't.
# To build on the same bytes again, name the base by its digest. Its registry reports the digest, and so does the label
# org.opencontainers.image.base.digest of an image of ours (`make image` looks it up and builds on it):
#
#   docker build --build-arg base_image=python:3.13-slim-trixie@sha256:DIGEST .
ARG base_image=python:3.13-slim-trixie


# --- The first stage: the service's dependencies, from the lock file into one folder ---------------------------------
FROM ${base_image} AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1

# The files for the second stage are laid out under /image as they will be there, in three folders for three layers.
# Every file and folder gets the same time, so that two builds of one commit give the same layers, byte for byte. It is
# not the time of a commit or a build, since a cached layer would still have that of an earlier one. BuildKit sets the
# image's own time, from the build argument SOURCE_DATE_EPOCH.

# A user of its own, with a name to read in listings and nowhere to log in.
RUN mkdir -p /image/user/etc /image/user/app \
    && cp -p /etc/passwd /etc/group /image/user/etc \
    && echo 'app:x:10001:10001:echo:/app:/sbin/nologin' >> /image/user/etc/passwd \
    && echo 'app:x:10001:' >> /image/user/etc/group \
    && find /image/user -exec touch -h -d @0 {} +

# A compiler and Python's headers, for a dependency that has no ready-made wheel for this base or processor. Also
# binutils, whose strip removes symbols from compiled code that only a debugger reads: uvloop shrinks from 13 MB to 2.
# Alpine has apk, Debian has apt-get: ask which one is there, and one Dockerfile serves both.
# The caches are mounted while the line runs and are no part of the layer.
# Their versions are not pinned: nothing of them reaches the image.
# hadolint ignore=DL3008,DL3018,DL3019
RUN --mount=type=cache,target=/var/cache/apk,sharing=locked \
    --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
    if command -v apk > /dev/null; then \
      apk add \
        binutils \
        gcc \
        musl-dev \
        python3-dev; \
    else \
      rm -f /etc/apt/apt.conf.d/docker-clean \
      && apt-get update \
      && apt-get install --yes --no-install-recommends \
        binutils \
        gcc \
        libc6-dev \
        libzstd-dev \
        python3-dev; \
    fi

WORKDIR /build

# The lock files alone: the dependencies are built again when they change, not whenever the code does.
# requirements/jwt.txt verifies tokens, too (ECHO_JWKS), for 13 MB more; requirements/otlp.txt sends spans
# (ECHO_OTLP_ENDPOINT); requirements/all.txt does both.
ARG requirements=requirements.txt
COPY ${requirements} packages.txt
COPY requirements/build.txt build.txt

# Every package must have the hash that the lock file says, those that build others too: so no build isolation, which
# would fetch its tools without asking anybody. A machine whose TLS passes a proxy gives its certificates as a secret
# (docker build --secret id=ca_bundle,src=FILE), which is there for this line and in no layer.
#
# Debian's base has zstd's library already, for OpenSSL and dpkg: there Python's binding is built to use that one, where
# its ready-made wheel brings another of 0.8 MB. pip takes an option of one package's build from its line in the file.
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    --mount=type=secret,id=ca_bundle \
    if [ -f /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi \
    && python3 -m pip install --require-hashes --target=/build/tools --requirement=build.txt \
    && if [ -f /usr/include/zstd.h ]; then \
      export PIP_NO_BINARY=backports-zstd \
      && sed -i '/^backports-zstd==/s/\\$/--config-settings=--build-option=--system-zstd &/' packages.txt; \
    fi \
    && PYTHONPATH=/build/tools CFLAGS=-g0 python3 -m pip install --require-hashes --no-build-isolation --no-compile \
         --target=/image/packages/packages --requirement=packages.txt

# Modules that nothing here imports are removed:
#
# - gunicorn's own workers, HTTP/2, control socket and "dirty" workers
# - the layers of websockets that do I/O (ours is the server), and its command line
# - parts of Prometheus's client that don't write metrics
# - protobuf's JSON, compiler and helpers, and its descriptors of itself if it has compiled code
# - archives of zstd and its form for PyPy
# - uvloop's tests
# - the fast YAML parser, which is not needed
# - the sources of compiled code
#
# tests/image imports each module that remains, and checks each import within it.
WORKDIR /image/packages/packages
RUN rm -r \
      _yaml \
      backports/zstd/_cffi \
      backports/zstd/_shutil.py \
      backports/zstd/tarfile.py \
      backports/zstd/zipfile \
      google/protobuf/any.py \
      google/protobuf/compiler \
      google/protobuf/duration.py \
      google/protobuf/internal/*_benchmark.py \
      google/protobuf/internal/testing_refleaks.py \
      google/protobuf/json_format.py \
      google/protobuf/proto*.py \
      google/protobuf/service_reflection.py \
      google/protobuf/testdata \
      google/protobuf/timestamp.py \
      google/protobuf/util \
      gunicorn/__main__.py \
      gunicorn/app/pasterapp.py \
      gunicorn/app/wsgiapp.py \
      gunicorn/asgi \
      gunicorn/ctl \
      gunicorn/dirty \
      gunicorn/http2 \
      gunicorn/instrument \
      gunicorn/uwsgi \
      gunicorn/workers/base_async.py \
      gunicorn/workers/g*.py \
      gunicorn/workers/sync.py \
      prometheus_client/aiohttp \
      prometheus_client/bridge \
      prometheus_client/django \
      prometheus_client/multiprocess.py \
      prometheus_client/openmetrics/parser.py \
      prometheus_client/parser.py \
      prometheus_client/twisted \
      uvloop/_testbase.py \
      websockets/__main__.py \
      websockets/asyncio \
      websockets/auth.py \
      websockets/cli.py \
      websockets/connection.py \
      websockets/legacy \
      websockets/proxy.py \
      websockets/sync \
      websockets/trio \
      yaml/cyaml.py \
    && if [ -d google/_upb ]; then rm google/protobuf/*_pb2.py; fi \
    && find . \( -name '_yaml*.so' -o -name '*.c' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyi' -o -name '*.pyx' \) -delete

# Bytecode is made now and not at each start: the root file system of a careful deployment can't be written to. Here it
# replaces its source (-b), which nobody reads in an image, and which would be as large again; a traceback still names
# file and line. Data that is of use only with the source is omitted as well: docstrings (-o 2, which omits assertions,
# too) and columns.
ENV PYTHONNODEBUGRANGES=1
RUN find /image/packages -name '*.so*' -exec strip --strip-unneeded {} + \
    && rm -r /image/packages/packages/bin \
    && python3 -m compileall -q -f -b -o 2 --invalidation-mode unchecked-hash -s /image/packages -p / /image/packages \
    && find /image/packages \( -name '*.py' -o -name RECORD \) -delete \
    && find /image/packages -exec touch -h -d @0 {} +

# The public base has no bytecode of Python's own library: each start, and each health check, would compile what it
# imports of it, for 0.3 s. So the bytecode is here too, of all that the service imports, in whole packages. It is a zip
# file, which Python reads as it is, of 1 MB in place of 4. Modules that Python itself imports at its start are omitted.
# https://docs.python.org/3/library/zipimport.html
WORKDIR /build/standard
RUN library=$(python3 -c 'import os; print(os.path.dirname(os.__file__))') \
    && PYTHONPATH=/image/packages/packages python3 -c 'import sys; there = set(sys.modules); \
import bottle, difflib, gunicorn.arbiter, gunicorn.app.base, gunicorn.glogging, gunicorn.workers.base, hpack, msgspec, \
multipart, prometheus_client, uvloop, websockets.server, yaml; \
print(*sorted({name.partition(".")[0] for name in sys.modules} - {name.partition(".")[0] for name in there}), sep="\n")' > names \
    && while read -r name; do \
      if [ -d "$library/$name" ]; then cp -r "$library/$name" .; \
      elif [ -f "$library/$name.py" ]; then cp "$library/$name.py" .; fi; \
    done < names \
    && rm names \
    && find . -name __pycache__ -prune -exec rm -r {} + \
    && python3 -m compileall -q -f -b -o 2 --invalidation-mode unchecked-hash -s /build/standard -p "$library" /build/standard \
    && find . ! -name '*.pyc' -type f -delete \
    && find . -exec touch -h -d 1980-01-01T00:00:00Z {} + \
    && TZ=UTC python3 -m zipfile -c /image/packages/packages/standard.zip ./* \
    && chmod 644 /image/packages/packages/standard.zip \
    && touch -d @0 /image/packages/packages /image/packages/packages/standard.zip

# The code last, since it changes most. Its docstrings stay: the OpenAPI document is written with them.
COPY app /image/app/app/app
RUN python3 -m compileall -q -f -b --invalidation-mode unchecked-hash -s /image/app -p / /image/app \
    && find /image/app -name '*.py' -delete \
    && chmod -R u=rwX,go=rX /image/app \
    && find /image/app -exec touch -h -d @0 {} +


# --- The second stage: the base, what was laid out, and how to run ---------------------------------------------------
FROM ${base_image}

# All of the environment in one place. The echo listens on every address: in a container, 127.0.0.1 is the container.
ENV ECHO_HOST="*" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/packages/standard.zip:/packages \
    PYTHONUNBUFFERED=1

# Outside the container these ports are what `docker run --publish` makes of them; here they are what to expect.
EXPOSE 8080 9090

COPY --from=builder /image/user/ /
COPY --from=builder /image/packages/ /
COPY --from=builder /image/app/ /

WORKDIR /app

# By number, so that Kubernetes can see that it is not root without looking into the image.
USER 10001:10001

# A request to the echo itself by a module of the image: no shell, no curl.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["python3", "-m", "app.healthcheck"]

# docker run IMAGE starts the echo; docker run IMAGE -m app --help says what can be set.
# In this form, without a shell, the echo is process 1 and gets the signals that stop it.
ENTRYPOINT ["python3"]
CMD ["-m", "app"]

# Labels last: the time and the revision are other ones in each build, and a label costs no layer of files.
ARG version=dev
ARG revision=unknown
ARG created=unknown
ARG base_image
ARG base_digest=unknown
LABEL author="Systems Team" \
      description="Shows people exactly what arrived: an HTTP echo, and an example of how an image is made." \
      license="Apache2.0" \
      int.skao.team="Systems Team" \
      int.skao.repository="https://gitlab.com/ska-telescope/sdi/ska-ser-containerisation-and-orchestration" \
      int.skao.website="https://gitlab.com/ska-telescope/sdi/ska-ser-containerisation-and-orchestration" \
      org.opencontainers.image.base.digest="${base_digest}" \
      org.opencontainers.image.base.name="${base_image}" \
      org.opencontainers.image.created="${created}" \
      org.opencontainers.image.description="Shows people exactly what arrived." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${revision}" \
      org.opencontainers.image.source="https://gitlab.com/ska-telescope/sdi/ska-ser-containerisation-and-orchestration" \
      org.opencontainers.image.title="echo" \
      org.opencontainers.image.version="${version}"
