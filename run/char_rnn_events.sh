#!/usr/bin/env bash
# Makes: a char-RNN of three LSTMs of 512 units that writes performances, event by event.
# Data: the corpus; ../shared/data/performances, where it is there:
#   DATA=folder:../shared/data/performances
# Cost and figure: of those performances 22 minutes of one busy core with --precision=mixed_bfloat16,
#   3.228 nats per event (test, the trigram 3.664; docs/models.md). Of the corpus not run yet.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=char_rnn
codec=events
train_flags+=(--preset=deep_symphony --window_steps=256 --batch_size=16)
train_flags+=(--max_epoch=1 --learning_rate=0.002 --average=0.99)
sample_flags+=(--length=1024)
job "$@"
