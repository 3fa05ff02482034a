#!/usr/bin/env bash
# Make Shelfcast's environment: Python packages from the locks, a Java that Spark starts on, the jars. Repeatable:
# what is there already is left alone. Usage: infra/setup.sh platform|dev|airflow
set -euo pipefail
cd "$(dirname "$0")/.."
lock=requirements/$1.txt
# Airflow's pins differ from the platform's, so it has an environment of its own, without the platform's code
venv=$([ "$1" = airflow ] && echo .venvs/airflow || echo .venv)

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
stop() { printf '%s\n' "$*" >&2; exit 3; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo "$@"
  else return 1; fi
}

install_debian() {
  command -v apt-get >/dev/null || return 1
  say "installing $* by apt"
  as_root env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -qq && apt-get install -y -qq "$@" >/dev/null' sh "$@"
}

find_python() {
  for name in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
    command -v "$name" >/dev/null || continue
    "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { command -v "$name"; return; }
  done
  return 1
}

find_uv() {
  if command -v uv >/dev/null; then command -v uv; return; fi
  if [ ! -x .venvs/uv/bin/uv ]; then
    "$python" -m venv .venvs/uv >/dev/null 2>&1 || { install_debian python3-venv && "$python" -m venv .venvs/uv >/dev/null; } \
      || stop "Python's venv module is missing: install python3-venv, then repeat."
    .venvs/uv/bin/pip install --quiet uv
  fi
  echo "$PWD/.venvs/uv/bin/uv"
}

python=$(find_python) || stop "Python 3.11 to 3.13 was not found: install it, or name it by PYTHON=/path/to/python3.11, then repeat."
uv=$(find_uv)

wanted=$(cat "$lock" pyproject.toml | cksum)
if [ "$(cat "$venv/.$1" 2>/dev/null)" != "$wanted" ]; then
  say "installing Python packages from $lock"
  [ -x "$venv/bin/python" ] || "$uv" venv --quiet --python "$python" "$venv"
  "$uv" pip install --quiet --python "$venv/bin/python" --require-hashes --requirement "$lock"
  if [ "$1" != airflow ]; then
    "$uv" pip install --quiet --python "$venv/bin/python" --no-deps --editable .
    ln -sf "$PWD/infra/pyenv.sh" "$venv/bin/pyenv"
  fi
  printf '%s' "$wanted" >"$venv/.$1"
fi
[ "$1" = airflow ] && exit 0

if ! "$venv/bin/python" -c 'from infra.java import find_java; from infra.settings import load_settings; find_java(load_settings().java_home)' 2>/dev/null; then
  install_debian openjdk-17-jre-headless || install_debian openjdk-21-jre-headless \
    || stop "Java 17 or 21 was not found and cannot be installed here without root: install one (apt install openjdk-17-jre-headless, or brew install openjdk@17) and set JAVA_HOME."
fi
"$venv/bin/python" - "$1" <<'PYTHON'
import sys

from infra.class_archive import make_archive
from infra.jars import ALL, resolve_jars, spark_sets
from infra.settings import load_settings

settings = load_settings()
added = resolve_jars(settings.jars, ALL if sys.argv[1] == "dev" else spark_sets(settings), settings.java_home)
if added:
    print(f"{len(added)} jars in {settings.jars}")
if make_archive(settings):
    print("an archive of Spark's classes: each start takes some seconds less")
PYTHON
