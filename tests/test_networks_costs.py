"""Parameters, multiply-adds, memory and the price of algorithms: published figures and laws."""

import random
from itertools import product
from math import prod

import pytest

from convcli.errors import ConvError, UsageError
from convcli.geometry.axis import Geometry
from convcli.geometry.sizes import Transposed
from convcli.networks.algorithms import Algorithm, algorithms
from convcli.networks.banks import Bank
from convcli.networks.budget import parse_budget
from convcli.networks.costs import COUNTABLE, Convention, Cost, costs, parse_counted, peak_elements, together
from convcli.networks.expectations import check_expectations
from convcli.networks.network import Shape
from convcli.networks.notation import parse
from convcli.networks.rules import Rules
from convcli.networks.trace import trace
from networks import PUBLISHED, Published


def cost(words: str, shape: Shape, convention: Convention | None = None, rules: Rules | None = None) -> Cost:
    """What a network costs."""
    return together(costs(trace(parse(words), shape, rules), convention or Convention()))


@pytest.mark.parametrize("network", PUBLISHED, ids=lambda network: network.name)
def test_published_networks_cost_what_was_published(network: Published) -> None:
    traced = network.trace()
    check_expectations(network.figures, traced, together(costs(traced, Convention())))


def test_an_expectation_that_is_not_met_names_every_difference() -> None:
    traced = trace(parse("conv3-4"), Shape(1, (8, 8)))
    with pytest.raises(ConvError, match="params is 40, expected 41; output is 4@6x6, expected 4@8x8") as caught:
        check_expectations(
            {"params": 41, "macs": 1296, "output": "4@8x8"}, traced, together(costs(traced, Convention()))
        )
    assert (1, "verify") == (caught.value.exit_code, caught.value.code)
    with pytest.raises(UsageError, match="nothing to expect is called 'mac'"):
        check_expectations({"mac": 1}, traced, Cost())


# --- textbook figures


@pytest.mark.parametrize(
    ("shape", "words", "expected"),
    [
        (Shape(192, (28, 28)), "conv5-32p2", 120_422_400),
        (Shape(192, (28, 28)), "pw-16 conv5-32p2", 2_408_448 + 10_035_200),
        (Shape(3, (7, 7)), "conv3-128", 86_400),
        (Shape(3, (7, 7)), "sep3-128", 675 + 9_600),
        (Shape(3, (7, 7)), "dw3 pw-128", 675 + 9_600),
        (Shape(64, (16, 16)), "tconv4-32/2p1", 8_388_608),
        (Shape(1, (100,)), "conv5-8", 96 * 5 * 8),
        (Shape(1, (8, 8, 8)), "conv3-2", 6**3 * 27 * 2),
        (Shape(784), "fc-100 relu fc-10", 784 * 100 + 100 * 10),
    ],
)
def test_textbook_multiply_adds(shape: Shape, words: str, expected: int) -> None:
    assert expected == cost(words, shape).macs


@pytest.mark.parametrize(
    ("shape", "words", "expected"),
    [
        (Shape(6, (8, 8)), "conv3-8g2", 8 * 3 * 9 + 8),
        (Shape(6, (8, 8)), "tconv3x2-8g2-b", 6 * 4 * 6),
        (Shape(6, (8, 8)), "dw3m2", 6 * 2 * 9 + 12),
        (Shape(6, (8, 8)), "sep3-8m2", 6 * 2 * 9 + 12 * 8 + 8),
        (Shape(6, (8, 8)), "conv3-8+bn", 8 * 6 * 9 + 8 + 16),
        (Shape(6, (8, 8)), "bn", 12),
        (Shape(6, (8, 8)), "bn-b", 6),
        (Shape(6, (8, 8)), "in-b-bn", 0),
        (Shape(6, (8, 8)), "prelu prelu-6", 7),
        (Shape(6, (8, 8)), "fc-10", 6 * 64 * 10 + 10),
        (Shape(6, (8, 8)), "max2 gap relu up2 pad1 crop1 flatten id", 0),
    ],
)
def test_parameters(shape: Shape, words: str, expected: int) -> None:
    assert expected == cost(words, shape).params


def test_a_transposed_layer_multiplies_as_often_as_the_convolution_that_it_transposes() -> None:
    random_ = random.Random(0)
    for _ in range(500):
        n, k, s, d = (random_.randint(1, b) for b in (12, 5, 4, 3))
        forward = Geometry(s * (n - 1) + d * (k - 1) + 1, k, s, d)
        back = Transposed(forward.output, k, s, d)
        assert (forward.output, forward.size) == (back.size, back.output)
        assert Bank(5, 7, axes=(forward,)).macs == Bank(7, 5, axes=(back,)).macs


def test_a_depthwise_layer_is_a_convolution_with_as_many_groups_as_channels() -> None:
    depthwise, grouped = (cost(word, Shape(8, (9, 9))) for word in ("dw3p1m2", "conv3-16p1g8"))
    assert grouped == depthwise


# --- conventions


def test_flops_are_two_per_multiply_add_and_what_with_counts() -> None:
    words, shape = "conv3-4p1+bn relu max2 gap", Shape(2, (8, 8))
    elements = 4 * 64
    expected = {
        "": 2 * elements * 18,
        "bias": 2 * elements * 18 + elements,
        "bn": 2 * elements * 18 + 2 * elements,
        "act": 2 * elements * 18 + elements,
        "pool": 2 * elements * 18 + 4 * 16 * 3 + 4 * 16,
    }
    for counted, flops in expected.items():
        found = cost(words, shape, Convention(parse_counted(counted)))
        assert (elements * 18, flops) == (found.macs, found.flops), counted
    assert sum(expected.values()) - 4 * expected[""] == cost(words, shape, Convention(parse_counted("all"))).flops


def test_adding_branches_counts_one_operation_per_element_and_join() -> None:
    found = cost("{ id | id | id } as:a add:a", Shape(2, (4,)), Convention(parse_counted("add")))
    assert 3 * 8 == found.flops


def test_a_batch_multiplies_everything_but_parameters() -> None:
    one, eight = (cost("conv3-4 max2 fc-10", Shape(2, (8, 8)), Convention(batch=n)) for n in (1, 8))
    assert (8 * one.macs, 8 * one.macs_real, 8 * one.flops, 8 * one.activations) == eight[1:5]
    assert (one.params, one.columns) == (eight.params, eight.columns)


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ("", "MAC = one multiply-add; bias, normalisation, activation and pooling not counted; batch 2; input 3@8x8"),
        ("bias,bn", "bias and normalisation counted in FLOPs; activation and pooling not counted; batch 2"),
        ("all", "bias, normalisation, activation, pooling and addition of branches counted in FLOPs; batch 2"),
    ],
)
def test_the_convention_is_said(counted: str, expected: str) -> None:
    assert expected in Convention(parse_counted(counted), batch=2).sentence(Shape(3, (8, 8)))


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(UsageError, match=f"'norm' cannot be counted; use {', '.join(COUNTABLE)}, or all"):
        parse_counted("bias,norm")


@pytest.mark.parametrize(
    ("text", "spent", "passes"),
    [
        ("1k", 1_000, True),
        ("1k", 1_001, False),
        ("1.5M", 1_500_000, True),
        ("2 GMACs", 2 * 10**9 + 1, False),
        ("0", 0, True),
    ],
)
def test_a_budget_is_kept_or_not(text: str, spent: int, passes: bool) -> None:
    budget = parse_budget(text)
    if passes:
        budget.check([Cost(macs=spent)])
    else:
        with pytest.raises(ConvError, match="above the budget") as caught:
            budget.check([Cost(), Cost(macs=spent)])
        assert (1, "budget") == (caught.value.exit_code, caught.value.code)


@pytest.mark.parametrize("text", ["", "G", "2X", "-1", "2e9", "1,5G", "2G3"])
def test_a_budget_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no budget"):
        parse_budget(text)


# --- memory


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("conv1-3", 10 + 30),
        ("conv1-3 conv1-1", 30 + 10),
        ("relu", 10),
        ("conv1-3 bn relu conv1-3", 30 + 30),
        ("{ conv1-2 relu conv1-1 | id }", 10 + 20 + 10),
        ("{ conv1-1 | conv1-1 }", 10 + 10 + 10),  # the input goes before the sum comes: 20 + 10
        ("[ conv1-2 | conv1-2 | conv1-2 ]", 20 + 20 + 20 + 60),
        ("as:a conv1-5 conv1-5 cat:a", 10 + 50 + 60),
        ("as:a max2 conv1-5 conv1-1 up2 add:a", 10 + 25 + 5),
        ("flatten id", 10),
    ],
)
def test_the_peak_keeps_skips_alive_and_lets_the_rest_go(words: str, expected: int) -> None:
    assert expected == peak_elements(trace(parse(words), Shape(1, (10,))))


def test_activations_are_what_layers_write() -> None:
    """Names and new shapes of the same tensor write nothing."""
    assert 6 * 64 + 6 * 64 + 6 == cost("conv3-6p1 as:a relu id gap flatten", Shape(3, (8, 8))).activations


def test_im2col_repeats_each_pixel_for_every_tap_except_where_the_input_is_the_matrix() -> None:
    assert 3 * 9 * 64 == cost("conv3-6p1", Shape(3, (8, 8))).columns
    assert 0 == cost("conv1-6 fc-10", Shape(3, (8, 8))).columns
    assert 3 * 16 == cost("conv1-6/2", Shape(3, (8, 8))).columns
    assert 3 * 9 * 64 == cost("conv3-6p1 conv1-6/2", Shape(3, (8, 8))).columns, "the largest, not the sum"


def test_intensity_is_flops_for_each_byte_that_must_move() -> None:
    found = costs(trace(parse("conv1-4-b relu"), Shape(2, (8,))), Convention())[0]
    assert 2 * 64 / (4 * (2 * 8 + 4 * 8 + 8)) == found.intensity(4)
    assert Cost().intensity(4) is None


# --- algorithms


def by_name(bank: Bank) -> dict[str, Algorithm]:
    """The algorithms of a bank, FFT under one name."""
    return {way.name.split(" tiles")[0]: way for way in algorithms(bank)}


def square(n: int, k: int, **more: int) -> tuple[Geometry, Geometry]:
    """Two equal axes."""
    axis = Geometry(n, k, **more)
    return axis, axis


def test_winograd_multiplies_2_25_and_4_times_less_where_tiles_fit() -> None:
    """Lavin and Gray, arXiv:1509.09308: F(2x2,3x3) and F(4x4,3x3)."""
    bank = Bank(64, 128, axes=square(56, 3, begin=1, end=1))
    ways = by_name(bank)
    two, four = ways["Winograd F(2x2,3x3)"], ways["Winograd F(4x4,3x3)"]
    assert (2.25, 4.0) == (bank.macs / two.multiplications, bank.macs / four.multiplications)
    assert 2 * two.multiplications + 28 * 28 * (32 * 64 + 24 * 128) + 28 * 64 * 128 == two.flops
    assert 2 * four.multiplications + 14 * 14 * (156 * 64 + 100 * 128) + 72 * 64 * 128 == four.flops


def test_winograd_pays_for_tiles_that_hang_over() -> None:
    bank = Bank(1, 1, axes=square(5, 3, begin=1, end=1))
    assert 3 * 3 * 16 == by_name(bank)["Winograd F(2x2,3x3)"].multiplications


@pytest.mark.parametrize(
    "axes", [square(16, 5), square(16, 3, stride=2), square(16, 3, dilation=2), (Geometry(16, 3),)]
)
def test_winograd_is_offered_only_for_plain_3x3(axes: tuple[Geometry, ...]) -> None:
    assert not any(name.startswith("Winograd") for name in by_name(Bank(8, 8, axes=axes)))


def test_every_algorithm_is_for_the_same_function() -> None:
    ways = by_name(Bank(64, 64, axes=square(56, 3)))
    assert ["direct", "im2col + GEMM", "Winograd F(2x2,3x3)", "Winograd F(4x4,3x3)", "FFT", "separable"] == list(ways)
    assert "only if every kernel has rank 1" == ways["separable"].remark
    assert ["direct", "GEMM"] == list(by_name(Bank(64, 64, axes=square(56, 1))))
    assert ["direct", "GEMM"] == list(by_name(Bank(64, 10)))
    assert ["direct", "GEMM + col2im", "zero-stuffed"] == list(by_name(Bank(4, 4, axes=(Transposed(8, 4, 2),))))


def test_separable_passes_cost_the_sum_of_the_kernels_sides() -> None:
    bank = Bank(1, 1, axes=square(100, 7))
    assert 100 * 94 * 7 + 94 * 94 * 7 == by_name(bank)["separable"].multiplications


def test_fft_wins_for_large_kernels_only() -> None:
    small, large = (by_name(Bank(64, 64, axes=square(128, k, begin=k // 2, end=k // 2))) for k in (3, 31))
    assert small["FFT"].flops > small["Winograd F(4x4,3x3)"].flops
    assert large["FFT"].flops < large["direct"].flops / 10


def test_zero_stuffing_wastes_the_product_of_the_strides() -> None:
    bank = Bank(64, 32, axes=(Transposed(16, 4, 2, begin=1, end=1),) * 2)
    assert 4 * bank.macs == by_name(bank)["zero-stuffed"].multiplications


def test_winograd_gives_the_direct_answer_with_the_multiplications_it_claims() -> None:
    """F(2,3) in one dimension: 4 products make 2 outputs of 3 taps (Winograd 1980); its square is F(2x2,3x3)."""
    random_ = random.Random(0)
    for _ in range(20):
        d, g = [random_.random() for _ in range(4)], [random_.random() for _ in range(3)]
        m1, m2 = (d[0] - d[2]) * g[0], (d[1] + d[2]) * (g[0] + g[1] + g[2]) / 2
        m3, m4 = (d[2] - d[1]) * (g[0] - g[1] + g[2]) / 2, (d[1] - d[3]) * g[2]
        direct = [sum(d[u + t] * g[t] for t in range(3)) for u in range(2)]
        assert direct == pytest.approx([m1 + m2 + m3, m2 - m3 - m4])
    tile = by_name(Bank(1, 1, axes=square(4, 3)))["Winograd F(2x2,3x3)"]
    assert 4 * 4 == tile.multiplications


def test_costs_add_up() -> None:
    found = costs(trace(parse("conv3-4 conv3-8"), Shape(3, (9, 9))), Convention())
    total = together(found)
    assert found[0].macs + found[1].macs == total.macs
    assert max(found[0].columns, found[1].columns) == total.columns
    assert prod((3, 4, 9)) + 4 + prod((4, 8, 9)) + 8 == total.params
    assert Cost() == together([])


def test_real_multiply_adds_never_exceed_the_nominal_ones() -> None:
    for k, s, p, d in product((1, 2, 3, 5), (1, 2, 3), (0, 1, 4), (1, 2)):
        for axis in (Geometry(9, k, s, d, p, p), Transposed(9, k, s, d, min(p, k * d // 2), 0)):
            bank = Bank(2, 3, axes=(axis,))
            assert 0 <= bank.real_macs <= bank.macs
