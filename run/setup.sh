#!/usr/bin/env bash
# Makes .venv and installs this project into it; does nothing when that is already done.
#
#   run/setup.sh [extra ...]     extras of setup.cfg beside "test": audio, beam, browser, compare, gpu, jax, score
#
# KERAS_BACKEND=jax adds the extra "jax". PYTHON names the interpreter to build .venv with.
# An extra is installed again only when setup.cfg or pyproject.toml changes, or the project
# moves: .venv/installed-<extra> holds their hash and is written after success alone, so an
# interrupted installation is repaired by the next call. Two calls at once wait for each other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extras=(test "$@")
if [[ "${KERAS_BACKEND:-}" == jax ]]; then extras+=(jax); fi
for extra in "${extras[@]}"; do
    if ! grep -q "^$extra =\$" setup.cfg; then
        echo "setup: there is no extra '$extra'; setup.cfg lists them: audio, beam, browser, compare, gpu, jax, score, test" >&2
        exit 1
    fi
done
hash="$({ pwd; cat setup.cfg pyproject.toml; } | cksum)"

# Lists the extras that .venv lacks, one a line.
missing() {
    local extra
    for extra in "${extras[@]}"; do
        if [[ ! -x .venv/bin/python || "$(cat ".venv/installed-$extra" 2>/dev/null)" != "$hash" ]]
        then
            echo "$extra"
        fi
    done
}

# Prints the first Python that is new enough; else says on stderr what was found.
find_python() {
    local candidate found=""
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
        found+=" $candidate ($("$candidate" --version 2>/dev/null || echo "not found"));"
    done
    echo "setup: needs Python 3.11 or newer, tried$found" \
        "install one, or name it: PYTHON=/path/to/python3.12 run/setup.sh" >&2
    return 1
}

make_environment() {
    if .venv/bin/python -m pip --version >/dev/null 2>&1; then return; fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "setup: $python cannot make virtual environments (no module venv or ensurepip):" \
            "install it (Debian, Ubuntu: apt install python3-venv) and call run/setup.sh again" >&2
        return 1
    fi
    rm -rf .venv # What an interrupted call left, if anything.
    "$python" -m venv .venv
}

install() {
    local names log=.venv/install.log folder
    names="$(IFS=,; echo "$*")"
    # pip writes RECORD last: a package without one was interrupted and counts as installed.
    for folder in .venv/lib/python3*/site-packages/*.dist-info; do
        if [[ -d "$folder" && ! -e "$folder/RECORD" ]]; then rm -rf "$folder"; fi
    done
    echo "setup: installing crnn-gan[$names] into .venv, minutes the first time; log: $log"
    if ! .venv/bin/python -m pip install -e ".[$names]" >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        echo "setup: pip failed (above; all of it in $log): mend that and call again" >&2
        return 1
    fi
}

if [[ -z "$(missing)" ]]; then exit 0; fi
python="$(find_python)"
# The lock belongs to descriptor 9 and lasts as long as this shell. Python takes it, since not
# every system has a flock command; the file is opened for writing because NFS demands that.
exec 9>>setup.cfg
"$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
# Another call may have done it while this one waited.
wanted=()
while read -r extra; do wanted+=("$extra"); done < <(missing)
if [[ ${#wanted[@]} -eq 0 ]]; then exit 0; fi
make_environment
install "${wanted[@]}"
for extra in "${wanted[@]}"; do echo "$hash" >".venv/installed-$extra"; done
echo "setup: done in $SECONDS s"
