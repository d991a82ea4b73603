#!/usr/bin/env bash
# Makes: a WaveNet over performance events that hears the last 511.
# Data: the corpus; ../shared/data/performances, where it is there:
#   DATA=folder:../shared/data/performances
# Cost and figure: of those performances 2.763 nats an event after 3 epochs (test; docs/models.md),
#   48 minutes on two busy cores with --precision=mixed_bfloat16. Of the corpus not run yet.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=wavenet
codec=events
train_flags+=(--layers_per_block=8 --residual_channels=128 --dilation_channels=128)
train_flags+=(--songlength=512 --batch_size=16 --max_epoch=3)
sample_flags+=(--length=1024)
job "$@"
