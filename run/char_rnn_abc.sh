#!/usr/bin/env bash
# Makes: a char-RNN that writes folk tunes in ABC notation, character by character.
# Data: Ryan's Mammoth Collection, which comes with the corpus (1,059 tunes); your own ABC:
#   DATA=folder:../shared/data/abc/nottingham/ABC_cleaned
# Cost and figure: of Nottingham's cleaned ABC, 10 minutes on one busy core with
#   --precision=mixed_bfloat16; 1.143 nats per character (test; the best n-gram 1.372). Of Ryan's
#   Collection not run yet.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=char_rnn
codec=abc_text
if [[ "$source" == corpus ]]; then prepare_flags+=(--collection=ryans_mammoth); fi
smoke_composer=ryansMammoth
train_flags+=(--window_steps=192 --embedding_size=64 --hidden_size=256 --num_layers=2 --dropout=0.3)
train_flags+=(--max_epoch=16 --learning_rate=0.004 --lr_schedule=cosine --warmup_epochs=1)
train_flags+=(--average=0.99)
sample_flags+=(--length=600 --temperature=0.8)
evaluate_flags+=(--length=400)
job "$@"
