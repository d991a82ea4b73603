#!/usr/bin/env bash
# Makes: a C-RNN-GAN that writes classical music, a SavedModel of it and eight pieces.
# Data: the corpus that comes with music21 (no download), or your own MIDI:
#   DATA=folder:PATH run/job1.sh
# Cost and figure: six minutes on two cores, installation included; 26 of 27 means of 100 pieces lie
#   within the 5th to 95th percentile of real windows, recall .07 (docs/figures.md).
# RUN_DIR=train/<timestamp> run/job1.sh resumes that run. run/settings.sh has the other settings.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
train_flags+=(--transpose_semitones=6 --held_out_steps=10000)
sample_flags+=(--length=128)
job "$@"
