#!/usr/bin/env bash
# Makes: a Parallel WaveNet, which samples a whole sound in parallel: a teacher of 2 x 8 layers,
#   then a student of 2 flows of 8; a SavedModel of the student and eight pieces of two seconds.
# Data: Bach's works in the corpus that comes with music21, as a piano of sines plays them, 4000
#   samples per second; or your own MIDI: DATA=folder:PATH run/parallel_wavenet_audio.sh
# Cost and figure: some 40 minutes on one busy core; the teacher 2.99 nats per sample (validation), the
#   student 1.4 to 3.7 times as fast on two cores; docs/models.md. Then:
#   python benchmarks/parallel_wavenet.py --run_dir=RUN_DIR
# The likelihood is the teacher's and does not choose among epochs of the student: no epoch is best.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=parallel_wavenet
codec=audio
smoke_works=3 # One for each split: sound has thousands of steps a second.
evaluate=no
prepare_flags+=(--sample_rate=4000)
if [[ "$data" == corpus ]]; then prepare_flags+=(--composer=bach); fi
train_flags+=(--preset=small --teacher_epochs=5 --max_epoch=8 --best_by= --samples_per_epoch=1)
sample_flags+=(--length=8000)
job "$@"
