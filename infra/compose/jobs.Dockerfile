# The verbs, and the Spark master and workers: Java, the whole platform, the jars. Built from the project's root.
FROM python:3.11.13-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless procps && rm -rf /var/lib/apt/lists/*
COPY requirements/platform.txt /tmp/platform.txt
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r /tmp/platform.txt
COPY infra /opt/shelfcast/infra
COPY data_ingest /opt/shelfcast/data_ingest
COPY feature_repo /opt/shelfcast/feature_repo
COPY training /opt/shelfcast/training
COPY serving /opt/shelfcast/serving
COPY monitoring /opt/shelfcast/monitoring
ENV PATH=/opt/venv/bin:/opt/venv/lib/python3.11/site-packages/pyspark/bin:$PATH PYTHONPATH=/opt/shelfcast PYTHONUNBUFFERED=1 \
    SPARK_NO_DAEMONIZE=1
RUN python -c "from pathlib import Path; from infra.jars import resolve_jars; resolve_jars(Path('/opt/shelfcast/jars'), ('delta', 'kafka', 's3a'))"
RUN useradd --create-home shelfcast && install -d -o shelfcast /home/shelfcast/state
USER shelfcast
WORKDIR /home/shelfcast
ENTRYPOINT ["python", "-m", "infra.cli"]
CMD ["--help"]
