#!/usr/bin/env bash
# Makes: a WaveNet that writes sound, one mu-law level per sample, a SavedModel of it and eight
#   pieces of two seconds as WAV files.
# Data: Bach's works in the corpus that comes with music21, as a piano of sines plays them, 4000
#   samples per second; or your own MIDI: DATA=folder:PATH run/wavenet_audio.sh
# Cost and figure: 137 minutes, on cores that other work held for most of them; 2.868 nats per sample
#   (validation; docs/models.md).
# Receptive field: 3 x 1023 + 1 samples, three quarters of a second.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=wavenet
codec=audio
smoke_works=3 # One for each split: sound has thousands of steps a second.
evaluate=no
prepare_flags+=(--sample_rate=4000)
if [[ "$data" == corpus ]]; then prepare_flags+=(--composer=bach); fi
train_flags+=(--window_steps=4096 --batch_size=8 --samples_per_epoch=1)
train_flags+=(--max_epoch=2 --learning_rate=0.002 --lr_schedule=cosine)
train_flags+=(--blocks=3 --layers_per_block=10 --residual_channels=32 --dilation_channels=32)
sample_flags+=(--length=8000)
job "$@"
