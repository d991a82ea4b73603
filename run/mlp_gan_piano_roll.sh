#!/usr/bin/env bash
# Makes: a GAN of dense layers that writes 64 sixteenths of a piano roll at once.
# Data: Bach's chorales in the corpus; your own music: DATA=folder:PATH
# Cost and figure: 29 minutes on one core, for a third of them shared; 200 pieces overlap with real
#   music by .86, the means of all 27 statistics lie where its middle 90 % do, no two are equal,
#   none is copied (docs/models.md).
# Pieces between two seeds, in eight steps:
#   for mix in 0 .14 .28 .43 .57 .71 .86 1; do
#     .venv/bin/python -m crnn_gan.sample --saved_model=exported_models/mlp_gan --seed=1 \
#       --other_seed=2 --mix=$mix --count=1 --out_dir=between/$mix
#   done
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=mlp_gan
codec=piano_roll
keep_memory_between_steps
prepare_flags+=(--planes=onset,frame --lowest_pitch=24 --pitches=78 --steps_per_quarter=4)
if [[ "$data" == corpus ]]; then prepare_flags+=(--collection=bach_chorales); fi
train_flags+=(--window_stride=4)
evaluate_flags+=(--count=200)
job "$@"
