"""Classes of torchvision and timm whose forward() is known: their printed parts, and how these run.

A class counts as known only where the printout shows exactly these parts, by name and class: others give the same names
to other blocks. Read from the sources of torchvision 0.28 and timm 1.0, and held against their models by hooks.
"""

from __future__ import annotations

from convcli.records import record

CHAINS = frozenset(
    "Sequential Conv2dNormActivation Conv3dNormActivation ConvNormActivation ConvBNReLU ConvBNActivation "
    "SimpleStemIN AnyStage BasicStem R2Plus1dStem Conv2Plus1D TemporalSeparableConv".split()
)
"""Sequential, and the classes of torchvision that are one."""

WRAPPERS = ("DataParallel", "DistributedDataParallel", "OptimizedModule")
"""What only calls the one model in it."""

GROUPS = {
    "Act": frozenset(
        "ReLU ReLU6 LeakyReLU ELU GELU SiLU Mish Hardswish Hardsigmoid Sigmoid Tanh Identity GELUTanh".split()
    ),
    # no PReLU among them: one that runs twice has its parameters once
    "Norm": frozenset("BatchNorm2d BatchNorm3d SyncBatchNorm FrozenBatchNorm2d GroupNorm Identity".split()),
    "Conv": frozenset("Conv2d Conv2dSame Conv3DSimple Conv3DNoTemporal Conv2Plus1D".split()),
    "NormAct": frozenset(("BatchNormAct2d",)),
    "Mixed": frozenset(("Sequential", "Identity")),
    "Stem": frozenset(("Conv2d", "Conv2dSame", "Sequential")),
    "Gate": frozenset("SqueezeExcitation SEModule SqueezeExcite Identity".split()),
    "Pool": frozenset("AdaptiveAvgPool2d AdaptiveAvgPool3d SelectAdaptivePool2d".split()),
    "Head": frozenset(("Linear", "Identity")),
    "Drop": frozenset("Identity Dropout DropPath StochasticDepth".split()),
}
"""Classes that may stand for each other in the parts of a known class."""

PIXELWISE = ("Conv2d", "Permute", "LayerNorm", "Linear", "GELU", "Linear", "Permute")


@record
class Forward:
    """The parts of a class in the order printed, `name:Class` (`?` behind the name: may lack), and how they run.

    `*` are any parts, `*:Class` any number of one class.

    `text` is the notation, with the names of parts for layers; empty, they run as printed. With `shortcut`, the input
    is added where the block keeps its shape.
    """

    parts: str
    text: str = ""
    shortcut: bool = False

    @property
    def expected(self) -> list[tuple[str, str, bool]]:
        """Name, class or group, and whether it may lack.

        >>> Forward("conv:Conv2d se?:Gate").expected
        [('conv', 'Conv2d', False), ('se', 'Gate', True)]
        """
        pairs = [word.partition(":") for word in self.parts.split() if word[0] != "*"]
        return [(name.rstrip("?"), kind, name.endswith("?")) for name, _, kind in pairs]


STAGES = "layer1:Sequential layer2:Sequential layer3:Sequential layer4:Sequential"
CLASSIFIER = "features:Sequential avgpool:Pool classifier:Sequential"
THREE = "conv1:Conv bn1:Norm conv2:Conv bn2:Norm conv3:Conv bn3:Norm"
EXPANDING = "conv_pw:Conv bn1:NormAct conv_dw:Conv bn2:NormAct aa:Drop se:Gate conv_pwl:Conv bn3:NormAct drop_path:Drop"
SEPARABLE = "conv_dw:Conv bn1:NormAct aa:Drop se:Gate conv_pw:Conv bn2:NormAct drop_path:Drop"
EDGE = "conv_exp:Conv bn1:NormAct aa:Drop se:Gate conv_pwl:Conv bn2:NormAct drop_path:Drop"
REGNET = "conv1:ConvNormAct conv2:ConvNormAct se:Gate conv3:ConvNormAct act3:Act"
TIMM_STEM = "conv1:Stem bn1:Norm act1:Act maxpool:MaxPool2d"
TIMM_TWO = "conv1:Conv bn1:Norm drop_block:Drop act1:Act aa:Drop conv2:Conv bn2:Norm se?:Gate act2:Act"
TIMM_THREE = (
    "conv1:Conv bn1:Norm act1:Act conv2:Conv bn2:Norm drop_block:Drop act2:Act aa:Drop conv3:Conv bn3:Norm "
    "se?:Gate act3:Act"
)

PREACTIVATED = "norm1:NormAct conv1:Conv norm2:NormAct conv2:Conv norm3:NormAct conv3:Conv drop_path:Drop"
PREACTIVATED_TEXT = "conv1 norm2 conv2 norm3 conv3 drop_path"

KNOWN: dict[str, tuple[Forward, ...]] = {
    # torchvision
    "AlexNet": (Forward(CLASSIFIER),),
    "VGG": (
        Forward(CLASSIFIER),
        Forward("features:Sequential pre_logits:ConvMlp head:ClassifierHead"),
    ),
    "ResNet": (
        Forward(f"conv1:Conv bn1:Norm relu:Act maxpool:MaxPool2d {STAGES} avgpool:Pool fc:Linear"),
        Forward(f"{TIMM_STEM} {STAGES} global_pool:Pool fc:Head"),
    ),
    "VideoResNet": (Forward(f"stem:* {STAGES} avgpool:Pool fc:Linear"),),
    "BasicBlock": (
        Forward(
            "conv1:Conv bn1:Norm relu:Act conv2:Conv bn2:Norm downsample?:Mixed",
            "{ conv1 bn1 relu conv2 bn2 | downsample } relu",
        ),
        Forward("conv1:Sequential conv2:Sequential relu:Act downsample?:Mixed", "{ conv1 conv2 | downsample } relu"),
        Forward(
            f"{TIMM_TWO} downsample?:Mixed drop_path?:Drop",
            "{ conv1 bn1 drop_block act1 aa conv2 bn2 se drop_path | downsample } act2",
        ),
    ),
    "Bottleneck": (
        Forward(f"{THREE} relu:Act downsample?:Mixed", "{ conv1 bn1 relu conv2 bn2 relu conv3 bn3 | downsample } relu"),
        Forward(
            f"{TIMM_THREE} downsample?:Mixed drop_path?:Drop",
            "{ conv1 bn1 act1 conv2 bn2 drop_block act2 aa conv3 bn3 se drop_path | downsample } act3",
        ),
        Forward(f"{REGNET} downsample?:* drop_path?:Drop", "{ conv1 conv2 se conv3 drop_path | downsample } act3"),
    ),
    "SqueezeExcitation": (
        Forward(
            "avgpool:AdaptiveAvgPool2d fc1:Conv2d fc2:Conv2d activation:Act scale_activation:Act",
            "as:gate avgpool fc1 activation fc2 scale_activation mul:gate",
        ),
    ),
    "RegNet": (
        Forward("stem:SimpleStemIN trunk_output:Sequential avgpool:Pool fc:Linear"),
        Forward("stem:ConvNormAct s1:RegStage s2:RegStage s3:RegStage s4:RegStage final_conv:Act head:ClassifierHead"),
    ),
    "ResBottleneckBlock": (
        Forward("proj?:Conv2dNormActivation f:BottleneckTransform activation:Act", "{ f | proj } activation"),
    ),
    "BottleneckTransform": (Forward("a:Conv2dNormActivation b:Conv2dNormActivation se?:Gate c:Conv2dNormActivation"),),
    "EfficientNet": (
        Forward(CLASSIFIER),
        Forward(
            "conv_stem:Conv bn1:NormAct blocks:Sequential conv_head:Conv bn2:NormAct global_pool:Pool classifier:Head"
        ),
    ),
    "MBConv": (Forward("block:Sequential stochastic_depth:StochasticDepth", "block", shortcut=True),),
    "FusedMBConv": (Forward("block:Sequential stochastic_depth:StochasticDepth", "block", shortcut=True),),
    "InvertedResidual": (
        Forward("conv:Sequential", shortcut=True),
        Forward("block:Sequential", shortcut=True),
        Forward("branch1:Sequential branch2:Sequential", "halves"),
        Forward(EXPANDING, shortcut=True),
    ),
    "_InvertedResidual": (Forward("layers:Sequential", shortcut=True),),
    "MobileNetV2": (Forward("features:Sequential classifier:Sequential", "features gap classifier"),),
    "MobileNetV3": (
        Forward(CLASSIFIER),
        Forward(
            "conv_stem:Conv bn1:NormAct blocks:Sequential global_pool:Pool conv_head:Conv norm_head:* act2:Act "
            "flatten:Flatten classifier:Head"
        ),
    ),
    "MNASNet": (Forward("layers:Sequential classifier:Sequential", "layers gap classifier"),),
    "DenseNet": (
        Forward("features:Sequential classifier:Linear", "features relu gap classifier"),
        Forward("features:Sequential global_pool:Pool head_drop:Drop classifier:Head"),
    ),
    "_DenseBlock": (Forward("*:_DenseLayer", "dense"),),
    "_DenseLayer": (Forward("norm1:Norm relu1:Act conv1:Conv2d norm2:Norm relu2:Act conv2:Conv2d"),),
    "_Transition": (Forward("norm:Norm relu:Act conv:Conv2d pool:AvgPool2d"),),
    "SqueezeNet": (Forward("features:Sequential classifier:Sequential", "features classifier flatten"),),
    "Fire": (
        Forward(
            "squeeze:Conv2d squeeze_activation:Act expand1x1:Conv2d expand1x1_activation:Act expand3x3:Conv2d "
            "expand3x3_activation:Act",
            "squeeze squeeze_activation [ expand1x1 expand1x1_activation | expand3x3 expand3x3_activation ]",
        ),
    ),
    "ShuffleNetV2": (
        Forward(
            "conv1:Sequential maxpool:MaxPool2d stage2:Sequential stage3:Sequential stage4:Sequential conv5:Sequential "
            "fc:Linear",
            "conv1 maxpool stage2 stage3 stage4 conv5 gap fc",
        ),
    ),
    "ConvNeXt": (Forward(CLASSIFIER),),
    "CNBlock": (Forward("block:Sequential stochastic_depth:StochasticDepth", "pixelwise"),),
    "S3D": (
        Forward(
            "features:Sequential avgpool:AvgPool3d classifier:Sequential", "features avgpool classifier gap flatten"
        ),
    ),
    "SepInceptionBlock3D": (
        Forward(
            "branch0:Conv3dNormActivation branch1:Sequential branch2:Sequential branch3:Sequential",
            "[ branch0 | branch1 | branch2 | branch3 ]",
        ),
    ),
    # timm
    "RegStage": (Forward("*:Bottleneck"),),
    "DenseBlock": (Forward("*:DenseLayer", "dense"),),
    "DenseLayer": (Forward("norm1:NormAct conv1:Conv2d norm2:NormAct conv2:Conv2d"),),
    "DenseTransition": (Forward("norm:NormAct conv:Conv2d pool:AvgPool2d"),),
    "ResNetV2": (Forward("stem:Sequential stages:Sequential norm:NormAct head:ClassifierHead"),),
    "ResNetStage": (Forward("blocks:Sequential"),),
    "PreActBottleneck": (
        Forward(f"downsample:DownsampleConv {PREACTIVATED}", f"norm1 {{ {PREACTIVATED_TEXT} | downsample }}"),
        Forward(PREACTIVATED, f"{{ norm1 {PREACTIVATED_TEXT} | id }}"),
    ),
    "DownsampleConv": (Forward("conv:Conv2d norm:Identity"),),
    "ConvNormAct": (
        Forward("conv:Conv bn:NormAct aa?:Drop"),
        Forward("conv:Conv norm:Norm act:Act"),
    ),
    "ConvBnAct": (Forward("conv:Conv bn1:NormAct aa:Drop drop_path:Drop"),),
    "DepthwiseSeparableConv": (Forward(SEPARABLE, shortcut=True),),
    "EdgeResidual": (Forward(EDGE, shortcut=True),),
    "SEModule": (
        Forward("fc1:Conv2d bn:Norm act:Act fc2:Conv2d gate:Act", "as:gate gap fc1 bn act fc2 gate mul:gate"),
    ),
    "SqueezeExcite": (
        Forward(
            "conv_reduce:Conv2d act1:Act conv_expand:Conv2d gate:Act",
            "as:gate gap conv_reduce act1 conv_expand gate mul:gate",
        ),
    ),
    "ClassifierHead": (
        Forward("global_pool:Pool drop:Drop fc:Head flatten:Identity"),
        Forward("global_pool:Pool drop:Drop fc:Conv2d flatten:Flatten"),
    ),
    "ConvMlp": (Forward("fc1:Conv2d act1:Act drop:Drop fc2:Conv2d act2:Act"),),
}
"""Known classes; `dense`, `halves` and `pixelwise` name the builders of `torch_order`."""
