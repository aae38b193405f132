# What .ci/run and the scripts in the folders beside it share; it is sourced.

# packages PACKAGE…: Debian's, installed.
packages() {
  local root=()
  [[ $EUID == 0 ]] || root=(sudo)
  [[ ${lists_are_fresh:-} ]] || { "${root[@]}" apt-get update; lists_are_fresh=1; }
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# install COMMAND PACKAGE…: unless the command is there already.
install() {
  command -v "$1" >/dev/null || packages "${@:2}"
}

# postgres: the programs for a cluster of one's own, which Debian keeps off PATH.
postgres() {
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || install initdb postgresql
}

# node_packages: those of this folder's package-lock.json, in node_modules.
node_packages() {
  # npm writes its copy of the lock file last: when it is older than ours, or absent, what is installed isn't what is locked.
  if [[ ! node_modules/.package-lock.json -nt package-lock.json ]]; then
    npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier
  fi
}

# python_packages: those of this folder's requirements.txt, in .venv. It is made from requirements.in:
#   uv pip compile --universal --python-version 3.11 --generate-hashes --output-file requirements.txt requirements.in
python_packages() {
  if [[ ! .venv/installed -nt requirements.txt ]]; then
    python3 -c 'import ensurepip' 2>/dev/null || packages python3 python3-venv
    python3 -m venv --clear .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement requirements.txt
    touch .venv/installed
  fi
}

# server_program: builds the server and sets `program` to it. The build is the tests' own, so that after them nothing is
# left to do: `cargo build` alone would compile the dependencies once more, with fewer features.
server_program() {
  cargo test --locked --no-run --quiet
  program=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/plenary
}
