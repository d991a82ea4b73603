"""The engine: phases, joint phases, freezing, clipping and the guard, on either backend."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from crnn_gan.training.phases import (
    MOST_SKIPPED_IN_A_ROW,
    JointPhase,
    LossesOfBoth,
    Phase,
    PhasedModel,
    Stage,
    input_gradient,
    leading_steps,
)

JIT = keras.backend.backend() == "jax"


class Line(PhasedModel):
    """Moves w towards the mean of the batch: loss (w - mean)^2 / 2."""

    def __init__(self, rate=0.5, **phase):
        super().__init__()
        self.point = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        self.point.build((None, 1))
        self.rate, self.phase = rate, phase

    @property
    def w(self):
        return float(ops.convert_to_numpy(self.point.kernel)[0, 0])

    @property
    def stages(self):
        return [
            Stage(
                "only",
                1,
                [Phase("move", [self.point], self.squared_error, ("mean",), **self.phase)],
            )
        ]

    def optimizer_for(self, phase):
        return keras.optimizers.SGD(self.rate)

    def squared_error(self, batch):
        mean = ops.mean(batch["music"])
        w = ops.cast(ops.convert_to_tensor(self.point.kernel)[0, 0], "float32")
        return ops.square(w - mean) / 2, {"mean": mean}


class Pair(PhasedModel):
    """A generator of numbers g against a critic sigmoid(c x), jointly or one after the other."""

    clip_norm = 5.0

    def __init__(self, joint):
        super().__init__()
        self.g = keras.layers.Dense(2, kernel_initializer="ones")
        self.c = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.3))
        self.g.build((None, 3))
        self.c.build((None, 2))
        self.joint = joint

    @property
    def stages(self):
        critic = Phase("critic", [self.c], self.critic_loss, ("real",))
        generator = Phase("generator", [self.g], self.generator_loss)
        joint = JointPhase(critic, generator, self.produce, self.losses_of_both)
        return [Stage("only", 1, [joint] if self.joint else [critic, generator])]

    def optimizer_for(self, phase):
        return keras.optimizers.SGD(0.1)

    def produce(self, batch):
        return self.g(batch["noise"])

    def losses_of_both(self, batch, fake):
        p = ops.sigmoid(ops.cast(self.c(ops.concatenate([batch["music"], fake])), "float32"))[:, 0]
        real, made = ops.split(p, 2)
        loss = ops.mean(-ops.log(real) - ops.log(1 - made))
        return LossesOfBoth(
            critic_loss=loss,
            generator_loss=-ops.mean(ops.log(made)),
            gradient_ratio=-(1 - made) / made,
            critic_reports={"real": ops.mean(real)},
        )

    def critic_loss(self, batch):
        both = self.losses_of_both(batch, self.produce(batch))
        return both.critic_loss, both.critic_reports

    def generator_loss(self, batch):
        return self.losses_of_both(batch, self.produce(batch)).generator_loss, {}


def batches(values, size=1):
    array = np.asarray(values, np.float32)[:, None]
    return tf.data.Dataset.from_tensor_slices({"music": array}).batch(size)


def fit(model, data, epochs=1, **kwargs):
    model.compile(jit_compile=JIT)
    return model.fit(data, epochs=epochs, verbose=0, shuffle=False, **kwargs).history


def test_a_phase_takes_the_gradient_step_of_its_loss():
    model = Line()
    history = fit(model, batches([2.0, 2.0]))
    assert model.w == pytest.approx(1.5)  # 0 + .5 * 2 = 1, then 1 + .5 * 1.
    assert history["move_loss"] == [pytest.approx((2.0 + 0.5) / 2)]
    assert history["move_mean"] == [pytest.approx(2.0)]


def test_repeats_update_several_times_a_batch():
    model = Line(repeats=3)
    fit(model, batches([2.0]))
    assert model.w == pytest.approx(1.75)  # 1, 1.5, 1.75.


@pytest.mark.parametrize(("most", "updates"), [(0, 1), (2, 3), (9, 4)])
def test_a_phase_whose_loss_is_too_high_runs_again_until_it_is_not_or_its_turns_are_over(
    most, updates
):
    # Before its updates the loss is 8, 2, 0.5, 0.125: each halves the distance of 4.
    model = Line(balance_above=0.3, balance_most=most)
    shown = fit(model, batches([4.0]))
    assert model.w == pytest.approx(4 - 4 / 2**updates)
    assert shown.get("move_more", [0.0]) == [updates - 1]
    assert shown["move_loss"] == [pytest.approx(8)]


def test_balancing_and_freezing_one_phase_are_refused():
    with pytest.raises(ValueError, match="'move' has both `enabled` and `balance_most`"):
        Line(balance_above=0.3, balance_most=2, enabled=lambda last: True).compile()


def test_l2_is_added_to_the_gradient_and_shown():
    model = Line(l2=1.0)
    history = fit(model, batches([2.0, 2.0]))
    assert model.w == pytest.approx(1.0)  # w=1: gradient (1 - 2) + 1 * 1 = 0.
    assert history["move_l2"] == [pytest.approx(0.25)]  # (0 + 1 / 2) / 2.


def test_the_gradient_is_clipped_to_the_global_norm():
    model = Line()
    model.clip_norm = 1.0
    fit(model, batches([100.0]))
    assert model.w == pytest.approx(0.5)


def test_a_loss_that_is_not_finite_is_skipped_and_counted_and_the_run_goes_on():
    model = Line()
    history = fit(model, batches([2.0, np.nan, 2.0]))
    assert model.w == pytest.approx(1.5)
    assert int(model.skipped["move"]) == 1
    assert int(model.skipped_in_a_row["move"]) == 0
    assert np.isfinite(history["move_loss"][0])


def test_too_many_skips_in_a_row_show_in_the_loss():
    model = Line()
    history = fit(model, batches([np.nan] * MOST_SKIPPED_IN_A_ROW))
    assert np.isnan(history["move_loss"][0])
    assert model.w == 0.0


def test_a_frozen_phase_keeps_its_weights_until_the_longest_freeze():
    model = Line(enabled=lambda last: ops.convert_to_tensor(False), longest_freeze=2)
    fit(model, batches([2.0] * 3))
    assert model.w == pytest.approx(1.0)  # Frozen twice, then one step.


def test_the_freezing_rule_sees_the_losses_of_the_batch_before():
    seen = Line(enabled=lambda last: last["move_loss"] > 1.0)
    fit(seen, batches([1.0, 1.0, 1.0]))
    assert seen.w == pytest.approx(0.5)  # First sees 10 and moves; then .5 and stays.


def test_a_joint_phase_moves_both_as_two_phases_from_the_same_weights_would():
    random = np.random.default_rng(0)
    batch = {
        "music": random.normal(size=(4, 2)).astype(np.float32),
        "noise": random.normal(size=(4, 3)).astype(np.float32),
    }
    data = tf.data.Dataset.from_tensors(batch)
    joint, apart = Pair(joint=True), Pair(joint=False)
    fit(joint, data)
    fit(apart, data)
    for ours, theirs in zip(joint.c.weights, apart.c.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    # The generator of `apart` saw the moved critic; with the old one it moves the same.
    fresh = Pair(joint=False)
    fresh.compile(jit_compile=JIT)
    fresh.enter(Stage("generator alone", 1, fresh.stages[0].phases[1:]))
    fresh.fit(data, verbose=0, shuffle=False)
    for ours, theirs in zip(joint.g.weights, fresh.g.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_moves_nearly_as_float32_does(policy):
    random = np.random.default_rng(0)
    batch = {
        "music": random.normal(size=(4, 2)).astype(np.float32),
        "noise": random.normal(size=(4, 3)).astype(np.float32),
    }
    data = tf.data.Dataset.from_tensors(batch)
    exact = Pair(joint=True)
    fit(exact, data)
    keras.config.set_dtype_policy(policy)
    try:
        mixed = Pair(joint=True)
        fit(mixed, data)
    finally:
        keras.config.set_dtype_policy("float32")
    for ours, theirs in zip(mixed.g.weights + mixed.c.weights, exact.g.weights + exact.c.weights,
                            strict=True):  # fmt: skip
        np.testing.assert_allclose(ours, theirs, atol=2e-3)
        assert "32" in str(ours.dtype)


def test_a_stage_is_traced_once():
    model = Line()
    fit(model, batches([2.0, 2.0, 2.0]), epochs=3)
    assert model.traces == 1


def test_input_gradient_is_the_derivative_of_the_sum():
    x = ops.convert_to_tensor(np.array([1.0, 2.0], np.float32))
    np.testing.assert_allclose(input_gradient(lambda v: v**3, x), [3.0, 12.0])


def test_leading_steps_count_the_first_of_each_row():
    x = ops.convert_to_tensor(np.arange(8, dtype=np.float32).reshape(1, 4, 2))
    kept, mask = leading_steps(x, ops.convert_to_tensor(3))
    assert ops.convert_to_numpy(mask).sum() == 3
    np.testing.assert_array_equal(ops.convert_to_numpy(kept)[:, :3], np.asarray(x)[:, :3])
