# SPDX-License-Identifier: Apache-2.0
# The node's collector and its UI. Runs as nobody in particular, on a read-only root, with `--pid host` to see the node:
#   docker build -f docker/collector.Dockerfile -t pillion-collector .      (from the repository's top)
# It writes to /var/lib/pillion (what is kept) and /run/pillion (a tmpfs that applications share) alone.
ARG BASE=python:3.12-slim
FROM ${BASE} AS build
RUN apt-get -qq update && apt-get -qq -y --no-install-recommends install gcc libc6-dev patch xz-utils
WORKDIR /src
COPY scripts/source-package.sh scripts/
COPY native/fetch-nghttp2.sh native/
RUN native/fetch-nghttp2.sh
COPY pyproject.toml CMakeLists.txt README.md LICENSE ./
COPY native native
COPY agent agent
RUN python3 -m venv /opt/collector && /opt/collector/bin/pip install --no-cache-dir '.[collector]'

FROM ${BASE}
COPY --from=build /opt/collector /opt/collector
RUN install -d -o 4317 -g 4317 /var/lib/pillion /run/pillion
ENV PATH=/opt/collector/bin:$PATH PYTHONUNBUFFERED=1
USER 4317:4317
EXPOSE 4320
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s \
    CMD ["python3", "-IS", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:4320/healthz', timeout=3)"]
ENTRYPOINT ["pillion"]
CMD ["up", "--shared", "--data", "/var/lib/pillion", "--http", "0.0.0.0:4320"]
