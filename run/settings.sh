# What every job script shares; they source it, change the lists of flags, and call `job "$@"`,
# whose arguments go to the trainer, or `sweep_job "$@"`, whose go to the sweep. A job of sound
# sets `evaluate=no`: evaluation compares notes, and none come back from sound.
#
# Read from the environment, paths as seen from where you call:
#   DATA=corpus              music21's corpus (the default); folder:PATH for your own music;
#                            source:NAME for a collection that is downloaded (python -m
#                            pipelines.prepare --list), source:NAME:PATH for one you have
#   RUN_DIR=DIR              the run to resume, or where a new one goes (train/<timestamp>)
#   DATA_DIR=DIR             prepared data (data/<source>-<codec and its flags>)
#   EXPORT_DIR=DIR           the SavedModel (exported_models/<model>-<name of the run>)
#   PREPARE_FLAGS, SAMPLE_FLAGS, EVALUATE_FLAGS    words added to the flags of those stages
#   SMOKE=1                  the model's preset tiny: shows that the job works, not what it makes
# shellcheck shell=bash
set -euo pipefail

# Gives a path as seen from the caller's folder, before this file leaves it.
absolute() {
    case "$1" in
        "" | /*) echo "${1%/}" ;;
        *) echo "$PWD/${1%/}" ;;
    esac
}

data="${DATA:-corpus}"
source=corpus
data_path=""
case "$data" in
    corpus) ;;
    folder:?*)
        source=folder
        data_path="$(absolute "${data#folder:}")"
        ;;
    source:?*:?*)
        source="${data#source:}"
        data_path="$(absolute "${source#*:}")"
        source="${source%%:*}"
        ;;
    source:?*) source="${data#source:}" ;;
    *)
        echo "job: DATA is '$data'; give DATA=corpus, DATA=folder:PATH or DATA=source:NAME" >&2
        exit 2
        ;;
esac
run_dir="$(absolute "${RUN_DIR:-}")"
data_dir="$(absolute "${DATA_DIR:-}")"
export_dir="$(absolute "${EXPORT_DIR:-}")"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

model=c_rnn_gan
codec=cells
prepare_flags=()
train_flags=()
sweep_flags=()
sample_flags=(--count=8)
evaluate_flags=(--count=100)
evaluate=yes
smoke_composer=bach # Of the corpus, whose pieces a smoke run takes, and how many.
smoke_works=8

# For networks of tens of millions of weights: the C library keeps what a training step frees, on
# huge pages, so that the next one need not ask the system for it. Other C libraries ignore this.
keep_memory_between_steps() {
    local kept=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296
    kept+=:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=268435456
    export GLIBC_TUNABLES="${GLIBC_TUNABLES:-$kept}"
}

stages=5
python=.venv/bin/python
child=

# Runs a command of this project in a process group of its own. So Ctrl-C reaches this script alone,
# which passes it on, and what else ends a job: bash by itself would wait until the command is done.
run_python() {
    local status=0
    set -m
    "$python" -m "$@" </dev/null &
    child=$!
    set +m
    wait "$child" || status=$?
    while kill -0 "$child" 2>/dev/null; do # A signal ended the wait, not yet the command.
        status=0
        wait "$child" || status=$?
    done
    child=
    return "$status"
}

stop() {
    child="${child:-$(jobs -p)}" # A signal may come before a stage's number is noted.
    if [[ -n "$child" ]]; then
        kill "-$1" "$child" 2>/dev/null || true
    else
        echo "job: stopped by SIG$1; go on with: ${CRNN_GAN_JOB:-the same command}" >&2
        exit "$2"
    fi
}
trap 'stop HUP 129' HUP
trap 'stop INT 130' INT
trap 'stop TERM 143' TERM
trap 'stop QUIT 131' QUIT

# Writes how this job is called again, in the same run directory and from where it was called.
command_again() {
    local name words=""
    for name in DATA DATA_DIR EXPORT_DIR PREPARE_FLAGS SAMPLE_FLAGS EVALUATE_FLAGS SMOKE SET \
        KERAS_BACKEND; do
        if [[ -n "${!name:-}" ]]; then words+="$(printf '%s=%q ' "$name" "${!name}")"; fi
    done
    printf '%sRUN_DIR=%q' "$words" "$(absolute "$run_dir")"
    name="$0"
    if [[ "$name" != */* ]]; then name="./$name"; fi
    printf ' %q' "$name" "$@"
}

# Begins a job whose own command is crnn_gan.$1, which answers --help: installs, and prepares.
begin() {
    local command="$1" from=("--source=$source")
    shift
    if [[ " $* " == *" --help "* ]]; then
        run/setup.sh
        exec "$python" -m "crnn_gan.$command" "--model=$model" --help
    fi
    add_flags_from_environment
    name_places
    CRNN_GAN_JOB="$(command_again "$@")"
    export CRNN_GAN_JOB
    run/setup.sh
    if [[ -n "$data_path" ]]; then from+=("--path=$data_path"); fi

    stage 1 "prepare: music into records" "$data_dir"
    run_python pipelines.prepare "${from[@]}" "--codec=$codec" "--data_dir=$data_dir" \
        "${prepare_flags[@]}"
}

job() {
    begin train "$@"
    stage 2 "train: $model" "$run_dir"
    run_python crnn_gan.train "--model=$model" "--data_dir=$data_dir" "--run_dir=$run_dir" \
        "${train_flags[@]}" "$@"
    stage 3 "export: a SavedModel" "$export_dir"
    run_python crnn_gan.export "--run_dir=$run_dir" "--export_dir=$export_dir"
    stage 4 "sample: pieces from the SavedModel" "$run_dir/samples"
    run_python crnn_gan.sample "--saved_model=$export_dir" "--out_dir=$run_dir/samples" \
        "${sample_flags[@]}"
    if [[ "$evaluate" == no ]]; then
        stage 5 "evaluate: left out, this job says evaluate=no; training printed what it measured" ""
    else
        stage 5 "evaluate: pieces of the run beside real music" "$run_dir/evaluation"
        run_python crnn_gan.evaluate "--run_dir=$run_dir" "--out_dir=$run_dir/evaluation" \
            "${evaluate_flags[@]}"
    fi
    link_latest
    say_where
}

sweep_job() {
    stages=2
    begin sweep "$@"
    stage 2 "sweep: $model" "$run_dir"
    run_python crnn_gan.sweep "--model=$model" "--data_dir=$data_dir" "--sweep_dir=$run_dir" \
        "${train_flags[@]}" "${sweep_flags[@]}" "$@"
}

# Later flags win: the job's, then SMOKE's, then the caller's.
add_flags_from_environment() {
    if [[ "${SMOKE:-}" == 1 ]]; then
        if [[ "$data" == corpus ]]; then
            prepare_flags+=(--collection=by_composer "--composer=$smoke_composer")
            prepare_flags+=("--works_per_composer=$smoke_works")
        else
            train_flags+=("--works_per_composer=$smoke_works")
        fi
        train_flags+=(--preset=tiny --samples_per_epoch=2 --held_out_steps=2000)
        sweep_flags+=(--runs=2)
        # Steps of the pieces of a job that says how long they are.
        if [[ " ${sample_flags[*]}" == *" --length="* ]]; then sample_flags+=(--length=64); fi
        sample_flags+=(--count=2)
        evaluate_flags+=(--count=3)
    fi
    # Meant to split into words, not to match files.
    set -f
    # shellcheck disable=SC2206
    prepare_flags+=(${PREPARE_FLAGS:-})
    # shellcheck disable=SC2206
    sample_flags+=(${SAMPLE_FLAGS:-})
    # shellcheck disable=SC2206
    evaluate_flags+=(${EVALUATE_FLAGS:-})
    set +f
}

# Sets run_dir, data_dir, export_dir where the caller did not, and the link to the latest export.
name_places() {
    local name="$model" origin=corpus
    if [[ "${SMOKE:-}" == 1 ]]; then name=smoke; fi
    if [[ "$source" != corpus ]]; then origin="$source"; fi
    if [[ "$source" == folder ]]; then origin="$(basename "$data_path")"; fi
    : "${run_dir:=train/$(date +%Y%m%d-%H%M%S)}"
    : "${data_dir:=data/$(data_name "$origin")}"
    latest=""
    if [[ -z "$export_dir" ]]; then
        export_dir="exported_models/$name-$(basename "$run_dir")"
        latest="exported_models/$name"
    fi
}

# Names the data after all that shapes it, so that two settings never share a folder:
# corpus-cells, corpus-note_tuples,tones_per_cell=3,ticks_per_quarter=384.
data_name() {
    local flag name="$1-$codec"
    for flag in "${prepare_flags[@]}"; do
        case "$flag" in
            --workers=*) ;; # Changes how fast, not what.
            *) name+=",${flag#--}" ;;
        esac
    done
    echo "${name//[^A-Za-z0-9_.,=-]/_}"
}

# Points the model's name at this export; a model exported by hand to that name stays.
link_latest() {
    if [[ -e "$latest" && ! -L "$latest" ]]; then latest=""; fi
    if [[ -n "$latest" ]]; then ln -sfn "$(basename "$export_dir")" "$latest"; fi
}

stage() {
    printf '\n[%d/%d %d:%02d] %s\n' "$1" "$stages" $((SECONDS / 60)) $((SECONDS % 60)) "$2${3:+ -> $3}"
}

say_where() {
    local export_name="${latest:-$export_dir}"
    printf '\ndone in %d min %d s; in %s:\n' $((SECONDS / 60)) $((SECONDS % 60)) "$PWD"
    if [[ "$evaluate" != no ]]; then
        echo "  report, opens in any browser                     $run_dir/evaluation/report.html"
    fi
    if [[ "$codec" == audio ]]; then
        echo "  a WAV file and the losses of each epoch          $run_dir/generated_data/"
    else
        echo "  a MIDI, its piano roll and statistics an epoch   $run_dir/generated_data/"
    fi
    cat <<END
  pieces from the SavedModel                       $run_dir/samples/
  SavedModel                                       $export_dir${latest:+ (also as $latest)}
more pieces:   .venv/bin/python -m crnn_gan.sample --saved_model=$export_name --out_dir=pieces
losses:        .venv/bin/tensorboard --logdir=$run_dir
train longer:  RUN_DIR=$run_dir $0 --max_epoch=N
END
}
