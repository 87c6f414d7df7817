# A server with the embedded models:
#
#   docker build -t wsproc .
#   docker run --rm -p 127.0.0.1:8765:8765 wsproc
#
# Anyone who can reach the port can use it: keep it on 127.0.0.1, or ask for a token.
# compose.yaml adds plain HTTP, a cache for Hub models and a smaller surface.

FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.txt pyproject.toml README.md LICENSE ./
# torch goes first and alone, as in the Makefile: it is the large one, and rarely changes.
RUN python -m venv /opt/wsproc \
    && /opt/wsproc/bin/pip install --no-cache-dir "$(grep '^torch==' requirements.txt)" \
    && /opt/wsproc/bin/pip install --no-cache-dir -r requirements.txt
COPY wsproc wsproc
RUN /opt/wsproc/bin/pip install --no-cache-dir -c requirements.txt '.[http]'

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 wsproc
COPY --from=build /opt/wsproc /opt/wsproc
ENV PATH=/opt/wsproc/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    WSPROC_HOST=0.0.0.0
USER wsproc
WORKDIR /home/wsproc
# A volume that is mounted here is writable then.
RUN mkdir .cache
EXPOSE 8765
STOPSIGNAL SIGTERM
# Ready is when every model is loaded and every worker serves.
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8765/readyz', timeout=2)"]
ENTRYPOINT ["wsproc"]
CMD ["serve"]
