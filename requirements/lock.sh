#!/usr/bin/env bash
# Lock every use of Shelfcast to versions and hashes, without addresses. The development lock is made first; the
# others take its versions, so that a laptop, the serving image and the tests run the same code.
set -euo pipefail
cd "$(dirname "$0")"
uv=${UV:-uv}
compile() { "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --no-strip-extras "$@"; }
compile platform.in dev.in -o dev.txt
compile --constraints dev.txt platform.in -o platform.txt
compile --constraints dev.txt serving.in -o serving.txt
compile airflow.in -o airflow.txt
