#!/usr/bin/env bash
# Makes: a char-RNN conditioned on pitch classes, density and mean pitch of the music ahead.
# Data: the corpus; ../shared/data/performances, where it is there:
#   DATA=folder:../shared/data/performances
# Cost and figure: of those performances, 13 minutes on one busy core with
#   --precision=mixed_bfloat16; 3.017 nats per event (test; the trigram 3.664). How well it follows
#   its conditions: docs/models.md, benchmarks/condition_fidelity.py. Of the corpus not run yet.
# Ask for C major, eight notes per second, around middle C:
#   .venv/bin/python -m crnn_gan.sample --saved_model=exported_models/conditional_char_rnn \
#     --pitch_class_histogram=.2,0,.15,0,.15,.1,0,.2,0,.1,0,.1 --density=8 --mean_pitch=60 --out_dir=asked
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=conditional_char_rnn
codec=events
train_flags+=(--window_steps=256 --hidden_size=256 --num_layers=2)
train_flags+=(--max_epoch=3 --learning_rate=0.003 --lr_schedule=cosine --average=0.99)
sample_flags+=(--length=1024)
job "$@"
