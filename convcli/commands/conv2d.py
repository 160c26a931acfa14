"""`convcli conv2d`: 2-D kernels and filter banks on every plane of an image."""

from convcli.requests.files import FileOptions
from convcli.requests.options import GeometryOptions, Inputs, LayeredOptions, NumberOptions
from convcli.requests.where import WhereOptions
from convcli.requests.working import ReportOptions, RunOptions


def conv2d(
    inputs: Inputs,
    kernels: LayeredOptions,
    geometry: GeometryOptions,
    where: WhereOptions,
    numbers: NumberOptions,
    files: FileOptions,
    run: RunOptions,
    report: ReportOptions,
) -> int:
    """Filter every plane of an image with 2-D kernels.

    One kernel acts on each channel alone; several (-k repeated) give a stack of results, or one with --combine;
    gaussian:1@R is for channel R alone (-k gaussian:1@0 -k gaussian:3@1: a kernel for each). A filter bank of shape
    (O, I/g, kh, kw) sums over channels, as a network layer does. --layer takes one from an ONNX file as it is there: a
    node's weights and bias, stride, pads (zeros), dilation and groups.

    Examples:
        convcli conv2d photo.jpg -k sharpen -o out.jpg
        convcli conv2d photo.jpg -k gaussian:2 --border reflect -o soft.png
        convcli conv2d photo.jpg -k sobel:x -k sobel:y --combine magnitude -o e.png
        convcli conv2d photo.jpg -k "0 -1 0; -1 5 -1; 0 -1 0" -o sharp.png --verify
        convcli conv2d photo.jpg -k ".299 ^ .587 ^ .114" -t uint8 -o grey.png
        convcli conv2d *.jpg -k box:5 -o '{stem}-soft.png' --json
        cat photo.jpg | convcli conv2d - -k emboss -o - --format png > relief.png
        convcli conv2d photo.jpg -k unsharp --channels luma -o crisp.jpg
        convcli conv2d photo.jpg -k gaussian:8 --region 10:-10,20: -o hidden.jpg
        convcli conv2d photo.jpg --layer model.onnx:/conv1/Conv -o maps.npy
        convcli conv2d photo.jpg -k gaussian:20 --explain
    """
    from convcli.requests.layers import check_given
    from convcli.requests.run import build_batch
    from convcli.requests.selected import build_filters
    from convcli.runs.many import run_batch

    check_given("conv2d", kernels.kernel, kernels.layer, inputs)
    asked, name = build_filters(2, kernels, geometry, where, numbers, run.tolerance)
    batch = build_batch(inputs, files, run, report, numbers, kernel=name, command="conv2d")
    return run_batch(asked, batch)
