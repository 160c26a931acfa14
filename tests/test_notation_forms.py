"""The short forms that people write: calls of PyTorch and Keras, and the phrases of papers."""

import pytest

from convcli.errors import UsageError
from convcli.networks.network import Shape
from convcli.networks.notation import format_network, parse
from convcli.networks.trace import trace


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3x3 conv, 64, /2", "conv3x3-64/2"),
        ("3×3 conv, 64, /2", "conv3x3-64/2"),
        ("7x7 conv, 64, /2 3x3 max pool, /2", "conv7x7-64/2 max3x3/2"),
        ("7x7, 64, stride 2", "conv7x7-64/2"),
        ("conv 3x3, 64, pad 1", "conv3x3-64p1"),
        ("conv, 3x3, 64, same", "conv3x3-64ps"),
        ("3x3 conv, 64, padding=1, dilation 2, groups 4", "conv3x3-64p1d2g4"),
        ("1x1 conv, 256", "conv1x1-256"),
        ("3x3x3 conv, 64", "conv3x3x3-64"),
        ("3x3 max pool, stride 2", "max3x3/2"),
        ("max pool, /2", "max2/2"),
        ("2x2 average pool", "avg2x2"),
        ("global average pool", "gap"),
        ("3x3 depthwise conv, s2", "dw3x3/2"),
        ("3x3 separable conv, 128", "sep3x3-128"),
        ("4x4 transposed conv, 64, /2, pad 1", "tconv4x4-64/2p1"),
        ("2x2 up-conv, 512, /2", "tconv2x2-512/2"),
        ("fc 1000", "fc-1000"),
        ("fc, 1000", "fc-1000"),
        ("1000-d fc", "fc-1000"),
        ("3x3 conv, 64 relu 2*( 3x3 conv, 64 relu )", "conv3x3-64 relu 2*( conv3x3-64 relu )"),
        ("[ 1x1 conv, 64 | 3x3 conv, 64, same ]", "[ conv1x1-64 | conv3x3-64ps ]"),
        ("3x3\nconv,\n64,\n/2", "conv3x3-64/2"),
    ],
)
def test_phrases_of_papers(text: str, expected: str) -> None:
    assert expected == format_network(parse(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Conv2d(3, 64, 7, stride=2, padding=3)", "conv7x7-64/2p3i3"),
        ("nn.Conv2d(3, 64, kernel_size=(3, 5), padding='same', bias=False)", "conv3x5-64psi3-b"),
        ("torch.nn.Conv2d(6, 8, 3, 1, (0, 1), 2, 2)", "conv3x3-8p0x1d2g2i6"),
        ("Conv1d(1, 8, kernel_size=(3,), stride=(2,))", "conv3-8/2i1"),
        ("Conv3d(1, 8, 3)", "conv3x3x3-8i1"),
        ("LazyConv2d(0, 64, kernel_size=(3, 3), stride=(1, 1))", "conv3x3-64"),
        ("ConvTranspose2d(100, 512, 4, 2, 1, output_padding=1)", "tconv4x4-512/2p1o1i100"),
        ("MaxPool2d(3, stride=2, padding=1, ceil_mode=True)", "max3x3/2p1ceil"),
        ("MaxPool2d(2)", "max2x2/2"),
        ("AvgPool3d(2)", "avg2x2x2/2"),
        ("AdaptiveAvgPool2d((6, 7))", "avg=6x7"),
        ("AdaptiveMaxPool1d(4)", "max=4"),
        ("Linear(784, 10, bias=False)", "fc-10i784-b"),
        ("BatchNorm2d(64)", "bni64"),
        ("BatchNorm2d(64, affine=False)", "bni64-b-bn"),
        ("InstanceNorm2d(64)", "ini64-b-bn"),
        ("Upsample(scale_factor=1.5)", "up1.5"),
        ("Upsample(scale_factor=(2.0, 1.5), mode='bilinear')", "bilinear2.0x1.5"),
        ("PixelUnshuffle(2)", "unshuffle2"),
        ("ChannelShuffle(3)", "cshuffle3"),
        ("Conv1D(8, 3, padding='causal', dilation_rate=2)", "conv3-8pcd2"),
        ("InstanceNorm2d(64, affine=True)", "ini64+b+bn"),
        ("GroupNorm(8, 64)", "gni64"),
        ("LayerNorm(64, bias=False)", "lni64-b"),
        ("PReLU()", "prelu-1"),
        ("LeakyReLU(0.2, inplace=True) Tanh() Softmax(dim=1)", "lrelu tanh softmax"),
        ("Upsample(scale_factor=2.0, mode='nearest')", "up2"),
        ("Upsample(scale_factor=(2.0, 3.0), mode='bilinear')", "bilinear2x3"),
        ("Upsample(size=(8, 8))", "up=8"),
        ("PixelShuffle(2)", "shuffle2"),
        ("ZeroPad2d((1, 2, 3, 4))", "pad3:4x1:2"),
        ("ReflectionPad2d(1)", "pad1x1"),
        ("Dropout(p=0.5) Identity() Flatten()", "id id flatten"),
        ("Conv2D(64, 7, strides=2, padding='same')", "conv7x7-64/2ps"),
        ("keras.layers.Conv2D(64, (3, 3), activation='relu', use_bias=False)", "conv3x3-64p0-b relu"),
        ("tf.keras.layers.Conv1D(8, 3, dilation_rate=2, kernel_initializer=init.he(2))", "conv3-8p0d2"),
        ('DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)', "dw3x3/2psm2"),
        ("SeparableConv2D(64, 3)", "sep3x3-64p0"),
        ("Conv2DTranspose(64, 3, strides=2, padding='same')", "tconv3x3-64/2ps"),
        ("Conv2DTranspose(64, 2, strides=3)", "tconv2x2-64/3p0o1"),
        ("Conv2DTranspose(64, 3, strides=2, padding='same', output_padding=1)", "tconv3x3-64/2p1o1"),
        ("MaxPooling2D() MaxPool2D(3, 2, 'same') AveragePooling1D(4)", "max2x2/2p0 max3x3/2ps avg4/4p0"),
        ("GlobalAveragePooling2D() GlobalMaxPooling2D()", "gap max=1x1"),
        ("Dense(10, activation='softmax')", "fc-10 softmax"),
        ("BatchNormalization(scale=False) Activation('swish')", "bn-bn silu"),
        ("UpSampling2D() UpSampling2D((2, 3), interpolation='bilinear')", "up2x2 bilinear2x3"),
        ("ZeroPadding2D(((0, 1), (2, 3))) ZeroPadding2D(2) ZeroPadding1D((1, 2))", "pad0:1x2:3 pad2x2 pad1:2"),
        ("Cropping2D((1, 2))", "crop1x2"),
        ("max2 Conv2d(3, 8, 3) relu", "max2 conv3x3-8i3 relu"),
        ("2*Conv2d(3, 3, 3)", "2*conv3x3-3i3"),
    ],
)
def test_calls_of_pytorch_and_keras(text: str, expected: str) -> None:
    assert expected == format_network(parse(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Conv2d(3, 64)", "Conv2d: kernel_size is missing"),
        ("Conv2d(3, 64, 'x')", "Conv2d: kernel_size is 'x'; it must be 2 whole numbers or one"),
        ("Conv2d(3, 64, (3, 3, 3))", "kernel_size is (3, 3, 3); it must be 2 whole numbers or one"),
        ("Conv2d(3, 64, -3)", "kernel_size is -3"),
        ("Conv2d(3, 64, 3.5)", "kernel_size is 3.5"),
        ("Conv2d(3, True, 3)", "out_channels is True, no whole number"),
        ("Conv2d(3, 64, 3, kernel=3)", "Conv2d knows no 'kernel'; it knows in_channels, out_channels"),
        ("Conv2d(3, 64, 3, out_channels=3)", "Conv2d: out_channels is given twice"),
        ("Conv2d(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)", "Conv2d takes 9 arguments at most, not 10"),
        ("Conv2d(3, 64, 3, bias=1.5)", "bias is 1.5, neither True nor False"),
        ("Conv2d(3, 64, 3, 2, 'same')", "padding='same' needs stride 1"),
        ("Conv2d(3, 64, 0)", "kernel 0 makes no sense"),
        ("Conv2d(3, 64, 3, stride=0)", "stride 0 makes no sense"),
        ("Conv2d(3, 64, 3", "is never closed by ')'"),
        ("Conv2d(3, 64, 3,,)", "is no call like Conv2d(3, 64, 7)"),
        ("Conv2d(3, 64, 1 + 2)", "'1 + 2' is no plain value"),
        ("Conv2d(3, 64, __import__('os').system('x'))", "kernel_size is 'system'"),
        ("Blub2d(3)", "unknown module 'Blub2d'; "),
        ("Conv2dd(3, 64, 3)", "unknown module 'Conv2dd'; did you mean Conv2d?"),
        ("MultiheadAttention(8)", "unknown module 'MultiheadAttention'; "),
        ("Flatten(0)", "Flatten is read only from dimension 1"),
        ("Upsample(scale_factor=2, mode='bicubic')", "mode 'bicubic' is not known"),
        ("Upsample(scale_factor=0)", "scale_factor is 0; it must be 1 numbers above 0, or one"),
        ("Upsample(scale_factor=(2.0, None))", "scale_factor is (2.0, None)"),
        ("AdaptiveAvgPool2d((None, 1))", "output_size is (None, 1); it must be 2 whole numbers or one"),
        ("Conv2d(3, 8, (3, -1))", "kernel_size is (3, -1)"),
        ("Conv2D(8, 3, padding='causal')", "padding 'causal' is neither 'same' nor 'valid'"),
        ("Conv2D(64, 3, padding='half')", "padding 'half' is neither 'same' nor 'valid'"),
        ("Dense(10, activation='blub')", "activation 'blub' is not known"),
        ("UpSampling2D(interpolation='area')", "interpolation 'area' is neither"),
        ("3x3 conv", "conv needs output channels, for instance '3x3 conv, 64, /2'"),
        ("conv, 64", "conv needs a size"),
        ("max pool", "max needs a size, for instance '3x3 max pool, /2'; gap pools globally"),
        ("3x3 conv, 64, blub", "'blub' says nothing about a layer"),
        ("3x3 blub", "'3x3' is no layer; layers look like conv3-64/2p1"),
        ("2x2 max pool, 64", "max takes no output channels"),
    ],
)
def test_mistakes_in_short_forms_say_what_would_work(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert expected in str(caught.value)


def test_the_channels_of_a_call_are_a_check_sum() -> None:
    with pytest.raises(UsageError, match="layer 2: expects 32 input channels, but 64 arrive"):
        trace(parse("Conv2d(3, 64, 3) Conv2d(32, 8, 3)"), Shape(3, (8, 8)))
    with pytest.raises(UsageError, match="numbers for 2 axes, but 3@8x8x8 has 3"):
        trace(parse("Conv2d(3, 64, 3)"), Shape(3, (8, 8, 8)))
