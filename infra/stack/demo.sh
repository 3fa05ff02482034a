#!/usr/bin/env bash
# The main job of `make demo` on real servers: bring the stack up, make what must be there, run the pipeline on it.
# The servers go on afterwards: `shelfcast stack down` ends them. Arguments go to the pipeline.
set -euo pipefail
cd "$(dirname "$0")/../.."
export SHELFCAST_HOME=${SHELFCAST_HOME:-$HOME/.shelfcast/stack-demo}
shelfcast=.venv/bin/shelfcast
"$shelfcast" stack up
variables=$("$shelfcast" stack env)
eval "$variables"
"$shelfcast" bootstrap
"$shelfcast" pipeline "$@"
echo "The servers go on. To use them: export SHELFCAST_HOME=$SHELFCAST_HOME; eval \"\$(shelfcast stack env)\". To end them: shelfcast stack down" >&2
