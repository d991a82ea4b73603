"""C-RNN-GAN: what each option does, against sums by hand and plain formulas."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from compiled import as_one_graph, compiled
from keras import ops

from crnn_gan.adversarial.minibatch_discrimination import MinibatchDiscrimination
from crnn_gan.generation.noise import draw_numpy
from crnn_gan.models.c_rnn_gan import CODE, CONTINUOUS, PAPER, Config, Model
from crnn_gan.training.phases import JointPhase
from pipelines.codecs import cells
from pipelines.spec import Spec

SPEC = Spec("vectors", (None, 4), "float32", 4, "note", classes={"composer": ("a", "b", "c")})
# Tracing takes the time, not training: one layer, and no second derivatives but where meant.
SMALL = CONTINUOUS | dict(
    window_steps=6, batch_size=2, hidden_size_g=5, hidden_size_d=4, max_epoch=2, num_layers_g=1,
    num_layers_d=1, adversarial_loss="non_saturating",
)  # fmt: skip
WASSERSTEIN = {"adversarial_loss": "wasserstein"}
CELLS = cells.Codec(
    tones_per_cell=2, times=(0, 6, 12), lengths=(6, 12), velocities=(50, 80),
    pitches=tuple(range(60, 72)),
).spec  # fmt: skip
OF_CELLS = dict(
    window_steps=6, batch_size=3, hidden_size_g=5, hidden_size_d=4, num_layers_g=1,
    num_layers_d=1, max_epoch=2, pretraining_epochs=1, adversarial_loss="non_saturating",
)  # fmt: skip
JIT = keras.backend.backend() == "jax"


def model(traced=False, **settings):
    keras.utils.set_random_seed(0)
    return compiled(Model(Config(**SMALL | settings), SPEC), traced)


def batch(of):
    random = np.random.default_rng(0)
    return {
        "music": random.uniform(-1, 1, (of.batch_windows, 6, 4)).astype(np.float32),
        "composer": random.integers(0, 3, of.batch_windows).astype(np.int32),
    }


def train(of):
    data = tf.data.Dataset.from_tensors(batch(of))
    history = {}
    for stage in of.stages:
        of.enter(stage)
        history |= of.fit(data, verbose=0, shuffle=False).history
    return history


def compose(of, count=2, length=6, seed=0, **controls):
    noise = draw_numpy(of.noise_spec(count, length), np.arange(seed, seed + count))
    defaults = {name: control.default for name, control in of.controls.items()}
    values = {n: np.full(count, v, np.float32) for n, v in (defaults | controls).items()}
    return np.asarray(of.predict_on_batch({"noise": noise, "controls": values}))


# Those that change the graph are trained through one.
CHANGE_THE_GRAPH = ("critic_steps", "feature_matching", "curriculum", "balance_above")


@pytest.mark.parametrize(
    "settings",
    [
        WASSERSTEIN | {"critic_steps": 2},
        WASSERSTEIN | {"instance_noise": 0.3, "replay": 3},
        {
            "adversarial_loss": "saturating",
            "freezing": "paper",
            "r1": 1.0,
            "disable_l2_regularizer": False,
        },
        {"freezing": "code", "end_classification": True},
        {"feature_matching": True, "feature_matching_reduction": "sum"},
        {"minibatch_d": True, "unidirectional_d": True, "disable_feed_previous": True},
        {"generate_meta": True, "pretraining_epochs": 1, "pretraining_d": True},
        {"curriculum": "whole", "pretraining_epochs": 1, "initializer": "original"},
        {
            "optimizer": "sgd",
            "noise": "uniform",
            "output": "linear",
            "num_layers_g": 2,
            "num_layers_d": 3,
        },
        {"balance_above": 0.1, "balance_most": 1, "label_smoothing": 0.1},
        {"r1": 1.0, "curriculum": "whole", "keep_prob": 0.5},
    ],
    ids=",".join,
)
def test_each_option_trains_and_composes(settings):
    made = model(any(name in settings for name in CHANGE_THE_GRAPH), **settings)
    before = [np.array(w) for w in made.trainable_variables]
    history = train(made)
    assert all(np.isfinite(values[-1]) for values in history.values())
    assert all(int(count) == 0 for count in made.skipped.values())
    moved = [
        not np.array_equal(b, w) for b, w in zip(before, made.trainable_variables, strict=True)
    ]
    assert sum(moved) > len(moved) // 2
    pieces = compose(made)
    assert pieces.shape == (2, 6, 4)
    assert np.isfinite(pieces).all()
    assert not np.array_equal(pieces[0], pieces[1])


def model_of_cells(**settings):
    """Not traced: the smoke job and test_every_model train through the graph."""
    keras.utils.set_random_seed(0)
    return compiled(Model(Config(**OF_CELLS | settings), CELLS), False)


def batch_of_cells(of):
    random = np.random.default_rng(0)
    sizes = [size for _, _, size in CELLS.blocks]
    music = random.integers(0, sizes, (of.batch_windows, 6, CELLS.size)).astype(np.int32)
    music[..., 6] = np.maximum(music[..., 6], music[..., 3])  # Pitches ascend.
    music[..., 3] = np.minimum(music[..., 3], 5)
    music[..., 6] = np.maximum(music[..., 6], 6)
    return {"music": music, "transposition": random.integers(-6, 7, of.batch_windows)}


@pytest.mark.parametrize(
    "settings",
    [
        {"generator_gradient": "straight_through", "r1": 0.5},
        *(
            # JAX compiles each for long; on it test_every_model trains the policy gradient.
            pytest.param(more, marks=pytest.mark.tensorflow_only)
            for more in (
                {},
                WASSERSTEIN | {"critic_steps": 2, "likelihood_weight": 0.5},
                WASSERSTEIN | {"generator_gradient": "straight_through", "replay": 4},
                {
                    "generator_gradient": "straight_through",
                    "feature_matching": True,
                    "keep_prob": 0.5,
                },
                {"pretraining_d": True, "optimizer": "sgd", "num_layers_g": 2, "average": 0.0},
            )
        ),
    ],
    ids=",".join,
)
def test_each_option_of_categorical_outputs_trains_and_composes(settings):
    made = model_of_cells(**settings)
    before = [np.array(w) for w in made.trainable_variables]
    data = tf.data.Dataset.from_tensors(batch_of_cells(made))
    for stage in made.stages:
        made.enter(stage)
        history = made.fit(data, verbose=0, shuffle=False).history
        assert all(np.isfinite(values[-1]) for values in history.values())
    assert all(int(count) == 0 for count in made.skipped.values())
    pairs = zip(before, made.trainable_variables, strict=True)
    moved = [not np.array_equal(b, w) for b, w in pairs]
    assert sum(moved) > 0.8 * len(moved)
    pieces = compose(made, count=3, length=7)
    assert pieces.shape == (3, 7, CELLS.size)
    assert not np.array_equal(pieces[0], pieces[1])


def test_pretraining_of_cells_minimises_their_negative_log_likelihood():
    made = model_of_cells(keep_prob=1.0)
    held = batch_of_cells(made)
    pretraining_loss = as_one_graph(made.pretraining_loss)
    loss, parts = pretraining_loss(held)
    untransposed = {**held, "transposition": np.zeros_like(held["transposition"])}
    nats = np.asarray(as_one_graph(made.negative_log_likelihood)(untransposed))
    assert float(loss) == pytest.approx(float(sum(parts.values())), rel=1e-5)
    plain, _ = pretraining_loss(untransposed)
    assert float(plain) == pytest.approx(float(nats.mean()), rel=1e-4)


def test_the_adversarial_loss_of_cells_is_a_weighted_sum_with_the_likelihood():
    made = model_of_cells(likelihood_weight=2.0, adversarial_weight=0.0, keep_prob=1.0)
    held = batch_of_cells(made)
    likelihood, _ = as_one_graph(made.pretraining_loss)(held)
    loss, reports = made.generator.adversarial_loss(made.critic_and_generator, held)
    assert float(loss) == pytest.approx(2 * float(likelihood), rel=1e-5)
    assert float(reports["likelihood"]) == pytest.approx(float(likelihood), rel=1e-5)


@pytest.mark.parametrize("loss", ["wasserstein", "non_saturating", "saturating"])
def test_rewards_are_minus_the_generators_loss_and_are_shown_as_the_freezing_rule_sees_it(loss):
    made = model_of_cells(adversarial_loss=loss, keep_prob=1.0)
    both, held = made.critic_and_generator, batch_of_cells(made)
    fake = made.generator.fields.windows(held["music"])
    rewards, reports = both.reward(held, fake)
    of_both = both.losses_of_both(held, fake)
    assert np.shape(rewards) == (3,)
    assert float(np.mean(rewards)) == pytest.approx(-float(of_both.generator_loss), rel=1e-4)
    shown = float(of_both.generator_reports["adversarial"])  # Of "saturating" positive too.
    assert float(reports["adversarial"]) == pytest.approx(shown, rel=1e-4)


def test_a_reward_is_of_what_the_critic_learns_from_noise_and_other_rows_included():
    def rewards(of, real):
        held = batch_of_cells(of)
        fake = of.generator.fields.windows(held["music"])
        return np.asarray(of.critic_and_generator.reward({"music": real}, fake)[0])

    zeros = np.zeros((3, 6, CELLS.size), np.int32)
    plain = model_of_cells(keep_prob=1.0)
    np.testing.assert_array_equal(rewards(plain, zeros), rewards(plain, zeros + 1))
    noisy = model_of_cells(keep_prob=1.0, instance_noise=1.0)
    assert not np.array_equal(rewards(noisy, zeros), rewards(noisy, zeros))
    compared = model_of_cells(keep_prob=1.0, minibatch_d=True)
    assert not np.array_equal(rewards(compared, zeros), rewards(compared, zeros + 1))


def test_the_learning_rate_of_pretraining_falls_to_a_fiftieth():
    config = Config(pretraining_epochs=100, pretraining_learning_rate=1.0)
    rates = [config.pretraining_rate(epoch) for epoch in (0, 50, 99, 100)]
    assert rates == pytest.approx([1, 0.502, 0.02, 0.02], abs=0.01)
    assert Config(pretraining_schedule="constant").pretraining_rate(9) == 4e-3


@pytest.mark.parametrize(
    ("settings", "spec", "words"),
    [
        ({"outputs": "continuous"}, CELLS, "the data holds cells, .*prepare .*--codec=note_tuples"),
        ({"outputs": "categorical"}, SPEC, "the data holds vectors, .* --codec=cells"),
        ({"piece_noise": 3}, CELLS, "--piece_noise is a setting of continuous outputs, but"),
        (
            {"likelihood_weight": 3.0},
            SPEC,
            "--likelihood_weight is a setting of categorical outputs, but",
        ),
        ({"curriculum": "whole"}, CELLS, "--curriculum=whole is of continuous outputs"),
        (
            {"balance_above": 0.8, "adversarial_loss": "saturating"},
            CELLS,
            "--balance_above compares a loss that .* has the likelihood in it",
        ),
        ({"feature_matching": True}, CELLS, "--feature_matching .*; give .*=straight_through"),
    ],
)
def test_settings_of_other_outputs_are_refused_in_words(settings, spec, words):
    with pytest.raises(ValueError, match=words):
        Model(Config(**settings), spec)


def probability(logits):
    return 1 / (1 + np.exp(-np.asarray(logits)))


def test_the_discriminators_output_is_the_logit_of_the_mean_of_the_probabilities_of_the_steps():
    made = model()
    music = batch(made)["music"]
    outputs, _ = made.discriminator(music)
    expected = np.mean(probability(outputs)[..., 0], axis=1)
    got = made.discriminator.scores(music, np.ones((2, 6), bool)).output
    np.testing.assert_allclose(probability(got), expected, rtol=1e-5)


def test_a_wasserstein_critics_output_is_the_mean_of_the_scores_of_the_steps():
    made = model(adversarial_loss="wasserstein")
    music = batch(made)["music"]
    outputs, _ = made.discriminator(music)
    got = made.discriminator.scores(music, np.ones((2, 6), bool)).output
    np.testing.assert_allclose(got, np.mean(np.asarray(outputs)[..., 0], axis=1), rtol=1e-5)


def test_the_output_by_the_ends_is_the_mean_of_the_first_and_last_step():
    made = model(end_classification=True)
    music = batch(made)["music"]
    outputs, _ = made.discriminator(music)
    of_steps = probability(outputs)[..., 0]
    got = made.discriminator.scores(music, np.ones((2, 6), bool)).output
    np.testing.assert_allclose(probability(got), (of_steps[:, 0] + of_steps[:, -1]) / 2, rtol=1e-5)


def test_the_stacks_of_the_two_directions_are_independent():
    """The second layer of the forward stack must not see the future: features end half-half."""
    made = model(num_layers_d=2)
    music = batch(made)["music"]
    other = music.copy()
    other[:, 4:] += 1.0
    features = np.asarray(made.discriminator(music)[1])
    changed = np.asarray(made.discriminator(other)[1])
    forward = features.shape[-1] // 2
    np.testing.assert_allclose(features[:, :4, :forward], changed[:, :4, :forward], atol=1e-6)
    assert np.abs(features[:, :4, forward:] - changed[:, :4, forward:]).max() > 1e-4


def test_the_losses_are_those_of_the_paper_and_of_the_code():
    for name, expected in (
        ("saturating", lambda p: np.mean(np.log(1 - p))),
        ("non_saturating", lambda p: -np.mean(np.log(p))),
    ):
        made = model(adversarial_loss=name)
        fake = np.random.default_rng(1).uniform(-1, 1, (2, 6, 4)).astype(np.float32)
        real = batch(made)
        ones = np.ones((2, 6), bool)
        of_real, of_fake = (
            probability(made.discriminator.scores(x, ones).output) for x in (real["music"], fake)
        )
        losses = made.critic_and_generator.losses_of_both(real, fake)
        of_d = np.mean(-np.log(of_real) - np.log(1 - of_fake))
        assert float(losses.critic_loss) == pytest.approx(of_d, rel=1e-5)
        assert float(losses.generator_loss) == pytest.approx(expected(of_fake), rel=1e-5)
        shown = losses.generator_reports["adversarial"]  # Of both losses -log D(G).
        assert float(shown) == pytest.approx(-np.mean(np.log(of_fake)), rel=1e-5)


def test_minibatch_discrimination_sums_over_the_batch_the_row_itself_included():
    layer = MinibatchDiscrimination(kernels=1, dimensions=2)
    layer.build((None, None, 1))
    layer.project.kernel.assign([[1.0, -1.0]])
    x = np.array([[[0.0]], [[1.0]]], np.float32)
    s = 1 / (1 + np.exp(-1.0))  # sigmoid(1); the other is 1 - s, and sigmoid(0) is .5.
    distance = abs(s - 0.5) + abs(0.5 - (1 - s))
    expected = 1 + np.exp(-distance)
    np.testing.assert_allclose(np.asarray(layer(x))[:, 0, 0], [expected, expected], rtol=1e-6)


def phases_of(of):
    return [phase for part in of.stages[-1].phases for phase in part.moves]


def losses(of_d, of_g):
    values = {"discriminator_loss": of_d, "generator_adversarial": of_g}
    return {name: ops.convert_to_tensor(value) for name, value in values.items()}


def test_the_freezing_rule_of_the_paper_is_symmetric_at_70_percent():
    made = model(adversarial_loss="saturating", freezing="paper")
    may = {phase.name: phase.enabled for phase in phases_of(made)}
    assert not bool(may["discriminator"](losses(0.6, 1.0)))
    assert bool(may["discriminator"](losses(0.8, 1.0)))
    assert not bool(may["generator"](losses(1.0, 0.6)))
    assert bool(may["generator"](losses(1.0, 0.8)))


def test_the_freezing_rule_of_the_code_stops_the_generator_below_2():
    made = model(freezing="code")
    may = {phase.name: phase.enabled for phase in phases_of(made)}
    assert bool(may["generator"](losses(3.0, 3.0)))
    assert not bool(may["generator"](losses(1.0, 3.0)))
    assert not bool(may["discriminator"](losses(1.0, 3.0)))
    assert bool(may["discriminator"](losses(3.0, 1.0)))


def test_the_curriculum_grows_by_4_events_an_epoch_in_one_graph():
    made = model(traced=True, curriculum="whole", window_steps=12, max_epoch=3)
    data = tf.data.Dataset.from_tensors(
        {
            "music": np.zeros((made.batch_windows, 12, 4), np.float32),
            "composer": np.zeros(6, np.int32),
        }
    )
    lengths = []
    for epoch in range(3):
        made.begin_epoch(epoch)
        lengths.append(int(made.curriculum.length))
        made.fit(data, verbose=0, shuffle=False)
    assert lengths == [4, 8, 12]
    assert made.traces == 1


def test_steps_beyond_the_curriculum_do_not_reach_the_loss():
    made = model(curriculum="whole")
    made.begin_epoch(0)
    real = batch(made)
    other = {**real, "music": real["music"].copy()}
    other["music"][:, 4:] = 9.0
    fake = np.random.default_rng(1).uniform(-1, 1, (2, 6, 4)).astype(np.float32)
    cut = fake if JIT else fake[:, :4]
    of_real, of_other = (
        made.critic_and_generator.losses_of_both(x, cut).critic_loss for x in (real, other)
    )
    assert float(of_real) == pytest.approx(float(of_other))


def test_joint_and_separate_updates_are_chosen_by_what_is_exact():
    kinds = lambda **s: [type(p) for p in model(**s).stages[-1].phases]  # noqa: E731
    assert JointPhase in kinds(adversarial_loss="wasserstein")
    assert JointPhase in kinds()
    assert JointPhase not in kinds(feature_matching=True)
    assert JointPhase not in kinds(minibatch_d=True)


def test_the_learning_rates_decay_after_epochs_before_decay():
    made = model(learning_rate=0.1, d_learning_rate=0.05, lr_decay=0.5, epochs_before_decay=3)
    made.begin_epoch(5)
    assert float(made.optimizer.by_phase["generator"].learning_rate) == pytest.approx(0.025)
    assert float(made.optimizer.by_phase["discriminator"].learning_rate) == pytest.approx(0.0125)


def test_the_learning_rate_of_pretraining_decays_as_well():
    made = model(pretraining_epochs=9, lr_decay=0.5, epochs_before_decay=3)
    made.begin_epoch(5)
    rate = float(made.optimizer.by_phase["pretraining"].learning_rate)
    assert rate == pytest.approx(5e-4 / 4)


def test_pretraining_alone_is_the_baseline_of_the_paper():
    made = model(pretraining_epochs=5, max_epoch=2)
    stages = [(stage.name, stage.epochs) for stage in made.stages]
    assert stages == [("pretraining", 2), ("adversarial", 0)]


def test_a_longer_piece_begins_with_the_shorter_one():
    made = model()
    np.testing.assert_allclose(compose(made, length=9)[:, :6], compose(made, length=6), atol=1e-6)


def test_temperature_0_silences_the_noise_and_dropout_adds_variety():
    made = model()
    plain = compose(made, temperature=0.0)
    assert not np.array_equal(plain[0], compose(made)[0])
    assert set(made.controls) == {"temperature"}
    dropped = model(keep_prob=0.5)
    assert not np.array_equal(compose(dropped, dropout=0.5), compose(dropped))


def test_an_average_of_the_generators_weights_is_kept():
    made = model(average=0.5)
    start = made.generator.network.get_weights()[0]
    train(made)
    # After the first batch the decay is 1 / 11, not yet 0.5.
    expected = start / 11 + made.generator.network.get_weights()[0] * 10 / 11
    np.testing.assert_allclose(np.asarray(next(iter(made.averages.values()))), expected, atol=1e-6)
    assert model(average=0.0).averages == {}


def test_presets_name_fields_of_the_config():
    paper, code = Config(**PAPER), Config(**CODE)
    assert (paper.hidden_size_g, paper.adversarial_loss) == (350, "saturating")
    assert (paper.learning_rate, paper.d_learning_rate) == (0.1, 0.05)
    assert (code.hidden_size_g, code.adversarial_loss) == (100, "non_saturating")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window_steps": 1}, "--window_steps is 1; give 2 to"),
        ({"keep_prob": 0.0}, "--keep_prob is 0.0; give a number above 0, at most 1"),
        ({"learning_rate": -1.0}, "--learning_rate is -1.0; give a number above 0"),
        ({"average": 1.0}, "--average is 1.0; give 0 or more, below 1"),
        ({"gradient_penalty": -1.0}, "--gradient_penalty is -1.0; give 0 or more"),
        ({"freezing": "paper"} | WASSERSTEIN, "--freezing is a setting of --adversarial_loss=non_"),
        ({"balance_above": 0.8} | WASSERSTEIN, "--balance_above is a setting of --adversarial_lo"),
        ({"label_smoothing": 0.1} | WASSERSTEIN, "--label_smoothing is a setting of --adversaria"),
        ({"r1": 0.1} | WASSERSTEIN, "--r1 is a setting of --adversarial_loss=non_saturating or s"),
        (
            {"critic_steps": 2, "adversarial_loss": "saturating"},
            "--critic_steps is a setting of --adversarial_loss=wasserstein, but",
        ),
        (
            {"balance_above": 0.8, "freezing": "paper", "adversarial_loss": "saturating"},
            "both balance the networks; give one",
        ),
        ({"replay": 3, "curriculum": "whole"}, "--replay keeps windows of one length"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(settings, words):
    with pytest.raises(ValueError, match=words):
        Config(**settings)


def test_data_of_another_kind_is_refused_in_words():
    with pytest.raises(ValueError, match="takes 'cells' or 'vectors'"):
        Model(Config(), Spec("tokens", (None,), "int32", 9, "event"))
