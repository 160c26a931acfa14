# docker build -t convcli . && docker run --rm -v "$PWD:/work" convcli conv2d a.png -k gaussian:2 -o b.png
FROM python:3.13-slim AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev
COPY . /source
RUN python -m venv /opt/convcli && /opt/convcli/bin/pip install --no-cache-dir --no-compile /source'[zarr]'

FROM python:3.13-slim
COPY --from=build /opt/convcli /opt/convcli
# Any user may run it, with a home that cannot be written: journals are left out then, and the report says so.
USER 65534:65534
WORKDIR /work
ENV PATH=/opt/convcli/bin:$PATH
ENTRYPOINT ["convcli"]
