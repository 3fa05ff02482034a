# Airflow in an environment of its own beside the verbs that its tasks call. Built from the project's root, on the jobs image.
FROM jobs
USER root
COPY requirements/airflow.txt /tmp/airflow.txt
RUN python3.11 -m venv /opt/airflow && /opt/airflow/bin/pip install --no-cache-dir --require-hashes -r /tmp/airflow.txt
RUN printf '#!/bin/sh\nexec /opt/venv/bin/python -m infra.cli "$@"\n' > /usr/local/bin/shelfcast && chmod +x /usr/local/bin/shelfcast
RUN install -d -o shelfcast /home/shelfcast/airflow
ENV AIRFLOW_HOME=/home/shelfcast/airflow AIRFLOW__CORE__DAGS_FOLDER=/opt/shelfcast/infra/airflow/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False
# `standalone` starts its parts by the name `airflow`; last, so that `python` stays the one of the verbs
ENV PATH=$PATH:/opt/airflow/bin
USER shelfcast
ENTRYPOINT ["/opt/airflow/bin/airflow"]
CMD ["standalone"]
