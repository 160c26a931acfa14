"""Networks with published figures. MACs: convolutions, transposed convolutions and fully connected layers only.

Parameters: weights, biases, and two per channel of each batch normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from convcli.networks.notation import parse, parse_shape
from convcli.networks.rules import Rules
from convcli.networks.trace import Trace, trace


@dataclass(frozen=True)
class Published:
    """A network, and what its authors or others say of it."""

    name: str
    source: str
    input: str
    layers: str
    figures: Mapping[str, object]
    options: tuple[str, ...] = ()
    rules: Rules = field(default_factory=Rules)

    def trace(self) -> Trace:
        """The network at work."""
        return trace(parse(self.layers), parse_shape(self.input), self.rules)


NORMALISED = ("--no-bias", "--bn")
NORMALISED_RULES = Rules(bias=False, bn=True)

PUBLISHED = (
    Published(
        "MobileNet v1 1.0",
        "arXiv:1704.04861 tables 4, 6, 8 (569 M, 4.2 M); TF-slim: 567,716,352 without the last layer",
        "3@224x224",
        "conv3-32/2ps dw3ps pw-64 dw3/2ps pw-128 dw3ps pw-128 dw3/2ps pw-256 dw3ps pw-256 dw3/2ps pw-512 "
        "5*( dw3ps pw-512 ) dw3/2ps pw-1024 dw3ps pw-1024 gap fc-1000+b-bn",
        {"macs": 568_740_352, "params": 4_231_976, "receptive_field_before_gap": 315, "output": "1000"},
        NORMALISED,
        NORMALISED_RULES,
    ),
    Published(
        "MobileNet v1 1.0 without its last layer",
        "TF-slim: 567,716,352",
        "3@224x224",
        "conv3-32/2ps dw3ps pw-64 dw3/2ps pw-128 dw3ps pw-128 dw3/2ps pw-256 dw3ps pw-256 dw3/2ps pw-512 "
        "5*( dw3ps pw-512 ) dw3/2ps pw-1024 dw3ps pw-1024 gap",
        {"macs": 567_716_352, "output": "1024@1x1"},
        NORMALISED,
        NORMALISED_RULES,
    ),
    Published(
        "VGG-16",
        "arXiv:1409.1556 table 2; torchvision 15.47 G, 138,357,544; Distill 2019 (212); 96.8 % of the MACs are real",
        "3@224x224",
        "2*conv3-64 max2 2*conv3-128 max2 3*conv3-256 max2 3*conv3-512 max2 3*conv3-512 max2 fc-4096 fc-4096 fc-1000",
        {
            "macs": 15_470_264_320,
            "macs_real": 14_969_824_000,
            "params": 138_357_544,
            "receptive_field_before_fc": 212,
            "output": "1000",
        },
        ("--pad", "1"),
        Rules(pad=((1, 1),)),
    ),
    Published(
        "AlexNet, two groups",
        "caffenet, convnet-burden: 724 M, 233 MB",
        "3@227x227",
        "conv11-96/4 max3/2 conv5-256p2g2 max3/2 conv3-384p1 conv3-384p1g2 conv3-256p1g2 max3/2 "
        "fc-4096 fc-4096 fc-1000",
        {"macs": 724_406_816, "params": 60_965_224, "output": "1000"},
    ),
    Published(
        "Inception (3a)",
        "arXiv:1409.4842 table 1 (128 M)",
        "192@28x28",
        "[ conv1-64 | conv1-96 conv3-128ph | conv1-16 conv5-32ph | max3/1p1 conv1-32 ]",
        {"output": "256@28x28", "macs": 128_049_152},
    ),
    Published(
        "ResNet-18",
        "torchvision 1.814 G, 11,689,512",
        "3@224x224",
        "conv7-64/2p3 max3/2p1 2*{ conv3-64p1 conv3-64p1 | id } "
        "{ conv3-128/2p1 conv3-128p1 | conv1-128/2 } { 2*conv3-128p1 | id } "
        "{ conv3-256/2p1 conv3-256p1 | conv1-256/2 } { 2*conv3-256p1 | id } "
        "{ conv3-512/2p1 conv3-512p1 | conv1-512/2 } { 2*conv3-512p1 | id } gap fc-1000+b-bn",
        {"macs": 1_814_073_344, "params": 11_689_512, "output": "1000"},
        NORMALISED,
        NORMALISED_RULES,
    ),
    Published(
        "ResNet-50, stride in the 3x3",
        "torchvision 4.089 G, 25,557,032",
        "3@224x224",
        "conv7-64/2p3 max3/2p1 { conv1-64 conv3-64p1 conv1-256 | conv1-256 } 2*{ conv1-64 conv3-64p1 conv1-256 | id } "
        "{ conv1-128 conv3-128/2p1 conv1-512 | conv1-512/2 } 3*{ conv1-128 conv3-128p1 conv1-512 | id } "
        "{ conv1-256 conv3-256/2p1 conv1-1024 | conv1-1024/2 } 5*{ conv1-256 conv3-256p1 conv1-1024 | id } "
        "{ conv1-512 conv3-512/2p1 conv1-2048 | conv1-2048/2 } 2*{ conv1-512 conv3-512p1 conv1-2048 | id } "
        "gap fc-1000+b-bn",
        {"macs": 4_089_184_256, "params": 25_557_032, "receptive_field_before_gap": 427, "output": "1000"},
        NORMALISED,
        NORMALISED_RULES,
    ),
    Published(
        "ResNet-50, stride in the 1x1",
        "arXiv:1512.03385 table 1 (3.8 G); 3.858 G counted",
        "3@224x224",
        "conv7-64/2p3 max3/2p1 { conv1-64 conv3-64p1 conv1-256 | conv1-256 } 2*{ conv1-64 conv3-64p1 conv1-256 | id } "
        "{ conv1-128/2 conv3-128p1 conv1-512 | conv1-512/2 } 3*{ conv1-128 conv3-128p1 conv1-512 | id } "
        "{ conv1-256/2 conv3-256p1 conv1-1024 | conv1-1024/2 } 5*{ conv1-256 conv3-256p1 conv1-1024 | id } "
        "{ conv1-512/2 conv3-512p1 conv1-2048 | conv1-2048/2 } 2*{ conv1-512 conv3-512p1 conv1-2048 | id } "
        "gap fc-1000+b-bn",
        {"macs": 3_857_973_248, "params": 25_557_032},
        NORMALISED,
        NORMALISED_RULES,
    ),
    Published(
        "U-Net",
        "arXiv:1505.04597 figure 1 (388); 31,030,658 as published for the original layout",
        "1@572x572",
        "2*conv3-64 as:1 max2 2*conv3-128 as:2 max2 2*conv3-256 as:3 max2 2*conv3-512 as:4 max2 2*conv3-1024 "
        "tconv2-512/2 cat:4 2*conv3-512 tconv2-256/2 cat:3 2*conv3-256 tconv2-128/2 cat:2 2*conv3-128 "
        "tconv2-64/2 cat:1 2*conv3-64 conv1-2",
        {"output": "2@388x388", "macs": 150_428_424_448, "params": 31_030_658, "receptive_field": 204},
    ),
    Published(
        "C3D",
        "I3D paper table 1 (79 M); 85.6 % of the MACs are real",
        "3@16x112x112",
        "conv3-64ph max1x2x2 conv3-128ph max2 2*conv3-256ph max2 2*conv3-512ph max2 2*conv3-512ph max2p0x1x1 "
        "fc-4096 fc-4096 fc-487",
        {"macs": 38_548_959_232, "macs_real": 33_012_013_568, "params": 79_991_015, "output": "487"},
    ),
    Published(
        "DCGAN generator (PyTorch example)",
        "pytorch/examples dcgan",
        "100@1x1",
        "tconv4-512 tconv4-256/2p1 tconv4-128/2p1 tconv4-64/2p1 tconv4-3/2p1-bn",
        {"output": "3@64x64", "macs": 104_628_224, "params": 3_576_704},
        NORMALISED,
        NORMALISED_RULES,
    ),
    Published(
        "Xception",
        "arXiv:1610.02357 (22,855,952); one normalisation after each separable pair",
        "3@299x299",
        "conv3-32/2 conv3-64 { sep3-128ps sep3-128ps max3/2ps | conv1-128/2ps } "
        "{ sep3-256ps sep3-256ps max3/2ps | conv1-256/2ps } { sep3-728ps sep3-728ps max3/2ps | conv1-728/2ps } "
        "8*{ 3*sep3-728ps | id } { sep3-728ps sep3-1024ps max3/2ps | conv1-1024/2ps } sep3-1536ps sep3-2048ps "
        "gap fc-1000+b-bn",
        {"params": 22_855_952, "output": "1000"},
        NORMALISED,
        NORMALISED_RULES,
    ),
)
