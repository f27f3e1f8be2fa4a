"""Mediation where the graph is known: the path is found with its share, the correlate is not blamed."""

import numpy as np
import pytest

from interp.causal.mediation import Mediation, Readout, Versions, check_one_cue, mediate, teacher_forced
from interp.causal.planted import CHAIN, COMMON, FORK, Network
from interp.causal.subspace import Subspace
from interp.errors import InterpError

PIECES = 12
SIZE = np.random.default_rng(0).uniform(0.5, 1.5, PIECES)  # by which the versions of a piece differ in tempo


def versions(network: Network) -> Versions:
    slow = np.random.default_rng(1).standard_normal((PIECES, network.width))
    return Versions(slow, slow + network.embed(tempo=SIZE), np.arange(PIECES))


def through(network: Network, mediator: str = "energy", cause: bool = False, **options) -> Mediation:
    return mediate(
        network.run,
        versions(network),
        network.subspace(mediator, "resid.0"),
        network.readout(),
        cause=network.subspace("tempo", "resid.pre") if cause else None,
        **options,
    )


@pytest.mark.parametrize("cause", [False, True])
def test_a_chain_is_found_with_its_share(cause):
    found = through(Network(CHAIN), cause=cause, also=[Network(CHAIN).readout("energy", "resid.0")])
    np.testing.assert_allclose(found.total.values, SIZE, atol=1e-5)
    np.testing.assert_allclose(found.indirect.values, 0.6 * SIZE, atol=1e-5)
    np.testing.assert_allclose(found.direct.values, 0.4 * SIZE, atol=1e-5)
    np.testing.assert_allclose(found.through.values, 0.6 * SIZE, atol=1e-5)
    np.testing.assert_allclose(found.also["energy"].values, SIZE, atol=1e-5)
    share = found.through.share_of(found.total)
    assert (share.low, share.estimate, share.high) == pytest.approx((0.6, 0.6, 0.6), abs=1e-5)


@pytest.mark.parametrize("cause", [False, True])
def test_a_correlate_of_mediator_and_outcome_is_not_blamed(cause):
    network = Network(FORK)
    on_path, off_path = through(network, "energy", cause), through(network, "brightness", cause)
    np.testing.assert_allclose(on_path.through.values, SIZE, atol=1e-5)
    for effect in (off_path.indirect, off_path.through):
        np.testing.assert_allclose(effect.values, 0, atol=1e-5)
    np.testing.assert_allclose(off_path.direct.values, off_path.total.values, atol=1e-5)


def test_a_common_cause_is_no_path():
    found = through(Network(COMMON), "energy")
    np.testing.assert_allclose(found.total.values, SIZE, atol=1e-5)
    np.testing.assert_allclose(found.indirect.values, 0, atol=1e-5)
    np.testing.assert_allclose(found.through.values, 0, atol=1e-5)


def test_a_rival_that_does_not_move_the_mediator_goes_directly():
    """Arousal that hears tempo alone: nothing goes through energy, though energy would move arousal."""
    graph = {("energy", "arousal"): 1.0, ("tempo", "arousal"): 1.0}
    found = through(Network(graph), cause=True)
    np.testing.assert_allclose(found.through.values, 0, atol=1e-5)
    np.testing.assert_allclose(found.direct.values, SIZE, atol=1e-5)


def test_in_a_nonlinear_network_the_effects_are_what_their_definitions_say_and_do_not_add_up():
    network = Network(CHAIN, bend=np.tanh)
    both = versions(network)
    tempo = network.directions["tempo"]
    t0, t1 = both.base @ tempo, both.counterfactual @ tempo
    e_in = both.base @ network.directions["energy"]

    def arousal(tempo, energy):
        return np.tanh(0.6 * energy + 0.4 * tempo)

    e0, e1 = e_in + np.tanh(t0), e_in + np.tanh(t1)
    energy, readout = network.subspace("energy", "resid.0"), network.readout()
    found = mediate(network.run, both, energy, readout)
    np.testing.assert_allclose(found.total.values, arousal(t1, e1) - arousal(t0, e0), atol=1e-5)
    np.testing.assert_allclose(found.indirect.values, arousal(t0, e1) - arousal(t0, e0), atol=1e-5)
    np.testing.assert_allclose(found.direct.values, arousal(t1, e0) - arousal(t0, e0), atol=1e-5)
    np.testing.assert_allclose(found.through.values, found.total.values - found.direct.values)
    assert abs(found.indirect.estimate + found.direct.estimate - found.total.estimate) > 1e-3


def test_a_cause_is_one_part_of_a_change_and_the_rest_stays_out():
    network = Network(CHAIN)
    both = versions(network)
    more = both.counterfactual + network.embed(arousal=np.full(PIECES, 5.0))
    louder = Versions(both.base, more, both.pieces)
    energy, cause = network.subspace("energy", "resid.0"), network.subspace("tempo", "resid.pre")
    whole = mediate(network.run, louder, energy, network.readout())
    alone = mediate(network.run, louder, energy, network.readout(), cause=cause)
    np.testing.assert_allclose(whole.total.values, SIZE + 5, atol=1e-5)
    np.testing.assert_allclose(alone.total.values, SIZE, atol=1e-5)


def test_random_subspaces_carry_next_to_nothing():
    found = through(Network(FORK, width=400), cause=True, draws=4)
    for effect in (found.total, found.indirect, found.through):
        assert abs(effect.controls["random-directions"].estimate) < 0.1 * effect.estimate
    held = found.direct.controls["random-directions"]  # holding a meaningless subspace holds nothing up
    assert held.estimate > 0.9 * found.total.estimate


def test_a_mediator_written_in_two_places_needs_rank_2():
    """Arousal hears two copies of energy; a subspace of one carries half of what a subspace of both does."""
    graph = {("tempo", "energy"): 1.0, ("tempo", "brightness"): 1.0}
    graph |= {("energy", "arousal"): 0.5, ("brightness", "arousal"): 0.5}
    network = Network(graph)
    both = [network.directions["energy"], network.directions["brightness"]]
    energy = Subspace.from_directions(both, "resid.0", "energy")
    found = mediate(network.run, versions(network), energy, network.readout(), ranks=(1, 2))
    np.testing.assert_allclose(found.by_rank[1]["through"].values, 0.5 * SIZE, atol=1e-5)
    np.testing.assert_allclose(found.by_rank[2]["through"].values, SIZE, atol=1e-5)
    np.testing.assert_allclose(found.by_rank[2]["direct"].values, 0, atol=1e-5)
    np.testing.assert_allclose(found.by_rank[2]["indirect"].values, found.indirect.values)


def test_a_readout_is_in_standard_deviations_of_what_it_reads():
    rng = np.random.default_rng(0)
    vectors, groups = rng.standard_normal((60, 5)), np.arange(60)
    readout = Readout.fit(vectors, 100 * vectors[:, 2] + 7, groups, "resid.1", "arousal")
    assert readout(vectors).std() == pytest.approx(1)
    assert np.corrcoef(readout(vectors), vectors[:, 2])[0, 1] > 0.99


# --- what is refused ---


def test_versions_must_be_pairs_of_enough_pieces():
    with pytest.raises(InterpError, match="Unpaired inputs: 12 clips, 11 counterfactual"):
        Versions(np.ones((12, 3)), np.ones((11, 3)), np.arange(12))
    with pytest.raises(InterpError, match="5 pieces are too few"):
        Versions(np.ones((10, 3)), np.ones((10, 3)), np.repeat(np.arange(5), 2))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"tempo": "fast", "mode": "minor"}, "Pair 1 differs in mode, tempo; it must differ in one cue"),
        ({"tempo": "slow", "mode": "major"}, "Pair 1 differs in nothing"),
        ({"tempo": "slow", "mode": "minor"}, "Pair 1 differs in mode, those before it in tempo"),
        ({"tempo": "fast"}, r"Pair 1 has \['mode'\] on one side only"),
    ],
)
def test_pairs_differ_in_one_cue_and_all_in_the_same(other, message):
    slow, fast = {"tempo": "slow", "mode": "major"}, {"tempo": "fast", "mode": "major"}
    assert check_one_cue([slow, slow], [fast, fast]) == "tempo"
    with pytest.raises(InterpError, match=message):
        check_one_cue([slow, slow], [fast, other])
    with pytest.raises(InterpError, match="differs in"):
        vectors = np.ones((12, 3))
        Versions(vectors, vectors, np.arange(12), ([slow] * 12, [slow] * 12))


def test_runs_must_give_finite_vectors_of_every_clip():
    network = Network(CHAIN)
    energy, readout, both = network.subspace("energy", "resid.0"), network.readout(), versions(network)
    holes = Versions(np.where(np.arange(64) == 3, np.nan, both.base), both.counterfactual, np.arange(PIECES))
    with pytest.raises(InterpError, match="resid.0 are not finite"):
        mediate(network.run, holes, energy, readout)
    with pytest.raises(InterpError, match=r"gave \[64\] at resid.0"):
        mediate(lambda x, shifts, sites: dict.fromkeys(sites, np.ones(64)), both, energy, readout)
    with pytest.raises(InterpError, match="nothing for resid.0"):
        mediate(lambda x, shifts, sites: {}, both, energy, readout)


def test_sites_in_the_wrong_order_are_refused_instead_of_giving_0():
    network = Network(CHAIN)
    late, early = network.subspace("energy", "resid.1"), network.readout("arousal", "resid.0")
    with pytest.raises(InterpError, match="mediator at resid.1 changes nothing at resid.0"):
        mediate(network.run, versions(network), late, early)
    energy, cause = network.subspace("energy", "resid.0"), network.subspace("tempo", "resid.1")
    with pytest.raises(InterpError, match="cause at resid.1 changes nothing at resid.0"):
        mediate(network.run, versions(network), energy, network.readout(), cause=cause)


def test_readouts_of_one_name_are_refused():
    network = Network(CHAIN)
    with pytest.raises(InterpError, match="different names, not arousal, arousal"):
        through(network, also=[network.readout()])


# --- a real transformer ---


def test_clips_of_a_model_are_shifted_at_every_step(model):
    clips = model.generate(["a", "b", "c"], seconds=0.5, seed=0)
    run = teacher_forced(model, batch_size=2)
    plain = run(clips, {}, ["resid.0", "resid.1"])
    shift = np.random.default_rng(0).standard_normal(plain["resid.0"].shape)
    moved = run(clips, {"resid.0": shift}, ["resid.0", "resid.1"])
    np.testing.assert_allclose(moved["resid.0"] - plain["resid.0"], shift, atol=1e-4)
    assert np.abs(moved["resid.1"] - plain["resid.1"]).max() > 0.1
