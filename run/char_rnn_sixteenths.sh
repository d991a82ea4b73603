#!/usr/bin/env bash
# Makes: a char-RNN that writes chorales in four voices, one character per voice and 16th.
# Data: the chorales of the corpus; the 493 of ../shared/data, where it is there:
#   DATA=folder:../shared/data/scores/bach_chorales_jsbchorales.net
# Cost and figure: of those 493, 30 minutes on one busy core with --precision=mixed_bfloat16; 0.684 nats
#   per character (test; the best n-gram 1.797). Of the corpus not run yet.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=char_rnn
codec=sixteenths
if [[ "$source" == corpus ]]; then prepare_flags+=(--collection=bach_chorales); fi
train_flags+=(--window_steps=320 --batch_size=16 --hidden_size=256 --num_layers=2 --dropout=0.2)
train_flags+=(--transpose_semitones=3 --max_epoch=16 --learning_rate=0.004 --lr_schedule=cosine)
train_flags+=(--warmup_epochs=1 --average=0.99)
sample_flags+=(--length=640 --temperature=0.9)
evaluate_flags+=(--length=320)
job "$@"
