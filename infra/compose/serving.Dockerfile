# The service: no JVM, no pyspark. Built from the project's root.
FROM python:3.11.13-slim-bookworm AS build
COPY requirements/serving.txt /tmp/serving.txt
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --no-compile --require-hashes -r /tmp/serving.txt

FROM python:3.11.13-slim-bookworm
COPY --from=build /opt/venv /opt/venv
COPY infra /opt/shelfcast/infra
COPY data_ingest /opt/shelfcast/data_ingest
COPY feature_repo /opt/shelfcast/feature_repo
COPY training /opt/shelfcast/training
COPY serving /opt/shelfcast/serving
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/shelfcast PYTHONUNBUFFERED=1
RUN useradd --create-home shelfcast && install -d -o shelfcast /home/shelfcast/state
USER shelfcast
WORKDIR /home/shelfcast
EXPOSE 3000
ENTRYPOINT ["python", "-m", "infra.cli"]
CMD ["serve"]
