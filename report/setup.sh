# Create .venv and install the lock files into it.  Called by make, in the repository's root; does nothing when
# .venv already holds what the lock files say.  An install that was interrupted goes on where it stopped.
set -eu

venv=.venv
stamp=$venv/.installed-lock     # a copy of the lock files, written when everything in them is installed
project=$venv/.installed-project  # the same for pyproject.toml: entry points are read when it is installed

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then
            printf '%s' "$candidate"
            return
        fi
        if [ "$candidate" = "${PYTHON:-}" ]; then break; fi  # asked for by name: no other will do
    done
    say "${PYTHON:-python3.11} is not Python 3.11, or not there: install Python 3.11, or name one with" \
        "'make PYTHON=/path/to/python3.11 ...'."
    exit 1
}

if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then
    python=$(find_python)
    say "Creating .venv with $("$python" --version)."
    "$python" -m venv --clear "$venv" || {
        say "$python cannot make a virtual environment; install its venv module (on Debian: python3.11-venv)."
        exit 1
    }
fi

if ! cat requirements.lock requirements-nodeps.lock | cmp -s - "$stamp"; then
    say "Installing $(cat requirements.lock requirements-nodeps.lock | wc -l | tr -d ' ') packages into .venv; this takes minutes."
    rm -f "$stamp"
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    if ! { "$venv/bin/python" -m pip install --quiet -r requirements.lock &&
           "$venv/bin/python" -m pip install --quiet --no-deps -r requirements-nodeps.lock; }; then
        say "The installation stopped; run the same command again to go on." \
            "If it stops at the same package again, the lines above say why."
        exit 1
    fi
    cat requirements.lock requirements-nodeps.lock > "$stamp.part"
    mv "$stamp.part" "$stamp"
    rm -f "$project"
fi

if ! cmp -s pyproject.toml "$project"; then
    "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --no-index -e .
    cp pyproject.toml "$project.part"
    mv "$project.part" "$project"
fi
