#!/usr/bin/env bash
# Makes: a C-RNN-GAN that writes classical music, a SavedModel of it and eight pieces.
# Data: the corpus that comes with music21 (no download), or your own MIDI:
#   DATA=folder:PATH run/job1.sh
# Cost and figure: ten minutes on two cores, installation included; of 100 pieces recall .81 and
#   precision .91, where held-out music has .92 and .83; all 29 means inside (docs/figures.md).
# RUN_DIR=train/<timestamp> run/job1.sh resumes that run. run/settings.sh has the other settings.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
train_flags+=(--transpose_semitones=6 --held_out_steps=10000 --least_steps_per_epoch=30)
sample_flags+=(--length=128)
job "$@"
