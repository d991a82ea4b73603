#!/usr/bin/env bash
# Makes: a WaveNet over frames of piano rolls, with settings that were tuned to one data set each:
#   SET=NAME, of the four sets of the polyphonic benchmark. jsb_chorales (the default) and nottingham
#   predict the keys of a frame one after another; jsb_chorales_independent,
#   nottingham_independent, piano_midi_de and muse_data all keys independently.
# Data: the Bach chorales of the corpus. With SET=NAME that set of the benchmark, with its published
#   split, downloaded (1 MB): SET=nottingham run/wavenet_piano_roll.sh
#   Your own music with the settings of a set: SET=muse_data DATA=folder:PATH run/wavenet_piano_roll.sh
# Cost and figure: of the benchmark, nats per frame (test, frames 2..T; docs/figures.md): JSB chorales
#   4.945, independent 8.171; Nottingham 1.772, independent 3.046; Piano-midi.de 7.819; MuseData
#   7.100. The first of each took 20 minutes of one busy core. Of the corpus not run yet.
set -euo pipefail
set_name="${SET:-jsb_chorales}"
dataset="${set_name%_independent}"
if [[ -n "${SET:-}" ]]; then DATA="${DATA:-source:polyphonic_benchmark}"; fi
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
model=wavenet
codec=piano_roll

# What validation chose. All sets share one block and the clipping; those of independent keys more.
train_flags+=(--blocks=1 --max_grad_norm=1)
independent=(--notes=independent --lr_schedule=cosine --warmup_epochs=1 --average=0.99)
independent+=(--window_steps=256 --batch_size=4 --learning_rate=0.002)
steps_per_quarter=2
case "$set_name" in
    jsb_chorales)
        steps_per_quarter=1
        train_flags+=(--notes=one_by_one --window_steps=160 --batch_size=4 --max_epoch=40)
        train_flags+=(--learning_rate=0.002 --epochs_before_decay=14 --lr_decay=0.9)
        train_flags+=(--layers_per_block=3 --residual_channels=64 --dilation_channels=64)
        train_flags+=(--skip_channels=96 --end_channels=96)
        train_flags+=(--input_dropout=0.1 --dropout=0.3 --skip_dropout=0.4 --end_dropout=0.3)
        train_flags+=(--notewise_hidden=64 --notewise_span=24 --notewise_reach=24)
        train_flags+=(--notewise_frames=4 --notewise_dropout=0.25 --notewise_frames_dropout=0.15)
        ;;
    nottingham)
        train_flags+=(--notes=one_by_one --window_steps=256 --batch_size=2 --max_epoch=10)
        train_flags+=(--learning_rate=0.0015 --epochs_before_decay=3 --lr_decay=0.65)
        train_flags+=(--layers_per_block=7 --kernel_size=3)
        train_flags+=(--residual_channels=64 --dilation_channels=64)
        train_flags+=(--skip_channels=128 --end_channels=128)
        train_flags+=(--dropout=0.1 --skip_dropout=0.2 --end_dropout=0.1)
        train_flags+=(--notewise_hidden=48 --notewise_span=16 --notewise_reach=12)
        train_flags+=(--notewise_frames=3)
        ;;
    jsb_chorales_independent)
        steps_per_quarter=1
        train_flags+=("${independent[@]}" --notes=neighbours --window_steps=160 --max_epoch=26)
        train_flags+=(--learning_rate=0.003 --warmup_epochs=2 --average=0.995)
        train_flags+=(--layers_per_block=3 --residual_channels=96 --dilation_channels=64)
        train_flags+=(--skip_channels=96 --end_channels=96)
        train_flags+=(--input_dropout=0.05 --dropout=0.3 --skip_dropout=0.35 --end_dropout=0.3)
        train_flags+=(--notewise_hidden=64 --notewise_reach=24 --notewise_frames=4)
        train_flags+=(--notewise_dropout=0.2 --notewise_frames_dropout=0.1)
        ;;
    nottingham_independent)
        train_flags+=("${independent[@]}" --batch_size=2 --learning_rate=0.0015 --max_epoch=9)
        train_flags+=(--layers_per_block=7 --kernel_size=3)
        train_flags+=(--residual_channels=96 --dilation_channels=96)
        train_flags+=(--skip_channels=192 --end_channels=192)
        train_flags+=(--dropout=0.1 --skip_dropout=0.2 --end_dropout=0.2)
        ;;
    piano_midi_de)
        train_flags+=("${independent[@]}" --max_epoch=20)
        train_flags+=(--layers_per_block=6 --residual_channels=96 --dilation_channels=96)
        train_flags+=(--skip_channels=128 --end_channels=128)
        train_flags+=(--input_dropout=0.1 --dropout=0.3 --skip_dropout=0.3 --end_dropout=0.3)
        ;;
    muse_data)
        train_flags+=("${independent[@]}" --max_epoch=8)
        train_flags+=(--layers_per_block=7 --residual_channels=96 --dilation_channels=96)
        train_flags+=(--skip_channels=192 --end_channels=192)
        train_flags+=(--input_dropout=0.05 --dropout=0.15 --skip_dropout=0.2 --end_dropout=0.2)
        ;;
    *)
        echo "job: SET is '$set_name'; give SET=jsb_chorales, nottingham, jsb_chorales_independent," \
            "nottingham_independent, piano_midi_de or muse_data" >&2
        exit 2
        ;;
esac
prepare_flags+=(--planes=frame "--steps_per_quarter=$steps_per_quarter")
case "$source" in
    corpus) prepare_flags+=(--collection=bach_chorales) ;;
    polyphonic_benchmark) prepare_flags+=("--dataset=$dataset") ;;
esac
evaluate_flags+=(--length=64) # Few chorales are as long as a window of training.
job "$@"
