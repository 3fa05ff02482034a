# The MLflow server. Built from the project's root; the versions are those that the clients have.
FROM python:3.11.13-slim-bookworm
COPY requirements/serving.txt /tmp/serving.txt
RUN grep -oE '^[a-zA-Z0-9._-]+==[^ ;]+' /tmp/serving.txt > /tmp/versions.txt \
    && pip install --no-cache-dir --constraint /tmp/versions.txt mlflow boto3 psycopg2-binary==2.9.10
RUN useradd --create-home mlflow
USER mlflow
WORKDIR /home/mlflow
EXPOSE 5000
