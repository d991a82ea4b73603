#!/usr/bin/env bash
# Makes: C-RNN-GAN-3 as settings2.sh of its authors had it ("generatemeta_3tpc"):
#   generated meta data.
# Data: the corpus that comes with music21, on the paper's grid of 384 ticks a quarter, pitch as
#   one number. The authors' own collection of MIDI files is not ours to give.
# Cost and figure: tried at tiny size only; at full size (350 units, 126 epochs) not run, so none.
# Left out: the authors' --model=medium, which no version of their code defines.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
codec=note_tuples
prepare_flags+=(--tones_per_cell=3 --ticks_per_quarter=384 --pitch_features=number --nopresence)
train_flags+=(--preset=paper --feature_matching --pretraining_epochs=6)
train_flags+=(--generate_meta)
job "$@"
