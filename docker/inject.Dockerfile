# SPDX-License-Identifier: Apache-2.0
# The install image: pillion's bundle and `pillion install`, as an init container runs it. From the repository's root:
#   make bundle && docker build -f docker/inject.Dockerfile -t pillion-inject .
#   docker run --rm --read-only -v pillion:/opt/pillion pillion-inject
# The bundle is made outside, where the compilers and the Pythons are (`make bundle`); here it is compared with its
# manifest and put where the image can also be mounted as a volume itself (/bundle/current). Any Python from 3.8 on is a
# base; nothing is installed into it, nothing of the image is written to, and the container may run as any user.
ARG BASE=python:3.13-alpine

FROM ${BASE} AS bundle
ARG BUNDLE=pillion-bundle-*
COPY dist /dist
RUN newest=$(ls -d /dist/${BUNDLE} | sort -V | tail -n 1) && python3 -I "$newest/pillion_inject" install --to /bundle

FROM ${BASE}
COPY --from=bundle /bundle /bundle
# A new named volume takes this folder's owner.
RUN mkdir -p /opt/pillion && chown 4317:4317 /opt/pillion && chmod 0755 /opt/pillion
USER 4317:4317
WORKDIR /
ENTRYPOINT ["python3", "-I", "-S", "-B", "/bundle/current/pillion_inject", "install"]
CMD ["--to", "/opt/pillion"]
