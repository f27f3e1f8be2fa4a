# Resolve requirements.in and requirements-nodeps.in in a fresh environment, and write the lock files and the
# pip section of environment.yml.  Called by `make lock`, in the repository's root.
set -eu

scratch=build/lock
rm -rf "$scratch"
mkdir -p build
.venv/bin/python -m venv "$scratch"
pip() { "$scratch/bin/python" -m pip --disable-pip-version-check "$@"; }
# A local version such as 2.13.0+cpu names one machine's build of a release; the lock names the release.
names_and_versions() { pip list --format=freeze "$@" | grep -v '^pip==' | sed 's/+[a-z0-9.]*$//' |
    tr '[:upper:]_' '[:lower:]-' | LC_ALL=C sort; }

pip install --quiet -r requirements.in
# CUDA libraries and triton follow from torch's own exact pins, and only on Linux: they are not locked.
names_and_versions | grep -Ev '^(nvidia-|cuda-|triton==)' > "$scratch/all"
pip install --quiet --no-deps -r requirements-nodeps.in
names_and_versions | grep -Ev '^(nvidia-|cuda-|triton==)' | LC_ALL=C comm -13 "$scratch/all" - > "$scratch/nodeps"
sed '/^  - pip:$/q' environment.yml > "$scratch/environment"
sed 's/^/      - /' "$scratch/all" >> "$scratch/environment"

mv "$scratch/all" requirements.lock
mv "$scratch/nodeps" requirements-nodeps.lock
mv "$scratch/environment" environment.yml
rm -rf "$scratch"
