# The course in a container:
#   docker build --tag safbage . && docker run --rm --publish 127.0.0.1:8888:8888 safbage
# Versions are those of binder/constraints.txt, with which the tests passed. Weights are fetched while it is built; then it runs offline.
FROM python:3.11.13-slim-bookworm

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SAFBAGE_HOME=/opt/safbage/weights

RUN useradd --create-home --uid 1000 student \
    && mkdir --parents /opt/safbage/weights /course \
    && chown --recursive 1000:1000 /opt/safbage /course

WORKDIR /opt/safbage/source
COPY --chown=1000:1000 . .
USER 1000:1000

ENV PATH=/opt/safbage/venv/bin:$PATH
RUN python -m venv /opt/safbage/venv \
    && pip install --constraint binder/constraints.txt ".[page,hub,engine]" \
    && safbage weights --fetch \
    && safbage course --output /course

WORKDIR /course
EXPOSE 8888
HEALTHCHECK --interval=30s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8888/api', timeout=5)"]
# JupyterLab prints the address to open, with a token that is made anew at each start.
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser", "00_start_here.ipynb"]
