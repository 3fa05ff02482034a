#!/bin/sh
# A bare `mlflow run` asks pyenv for an interpreter. In Shelfcast's environment this answers with the one the environment
# was made from, so that no pyenv and no compiler are needed.
root="$(cd "$(dirname "$0")/.." && pwd)" # the environment: this file is linked into its bin
home=$(sed -n 's/^home *= *//p' "$root/pyvenv.cfg")
version=$("$root/bin/python" -c 'import platform; print(platform.python_version())')
case "$1" in
  root) echo "$root/pyenv" ;;
  install)
    if [ "$2" = --list ]; then echo "$version"; exit 0; fi
    [ "${3:-$2}" = "$version" ] || { echo "this environment has Python $version only" >&2; exit 1; }
    mkdir -p "$root/pyenv/versions/$version/bin"
    ln -sf "$home/python3" "$root/pyenv/versions/$version/bin/python" ;;
  *) echo "pyenv $1: not answered here" >&2; exit 1 ;;
esac
