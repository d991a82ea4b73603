#!/usr/bin/env bash
# Makes: what job1.sh makes, trained for 300 epochs.
# Data: the corpus that comes with music21, or DATA=folder:PATH.
# Cost and figure: see README.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
prepare_flags+=(--tones_per_cell=4)
train_flags+=(--max_epoch=300)
job "$@"
