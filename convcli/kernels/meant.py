"""What is answered to the names that other programs give to kernels, and to names written otherwise than here.

Loaded only where a kernel is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

ELSEWHERE = {
    "box:3": "mean average avg uniform square rectangle boxfilter boxblur blurmore movingaverage flat ones",
    "box:3|gaussian:1": "blur smooth smoothing lowpass soften antialias",
    "gaussian:2": "gauss gaussianblur gaussianfilter gaussblur gaussiansmooth normal",
    "sobel:x|sobel:y|laplacian|log:2": "edge edges findedges edgedetect edgedetection outline highpass contour",
    "sobel:x|sobel:y": "gradient derivative diff sobelfilter grad",
    "laplacian": "laplace laplacianfilter",
    "log:2": "laplacianofgaussian gaussianlaplace mexicanhat marrhildreth ricker",
    "dog:1,1.6": "differenceofgaussians differenceofgaussian bandpass",
    "sharpen|unsharp:2,0.5": "sharp sharpening enhance",
    "unsharp:2,0.5": "unsharpmask usm unsharpen",
    "disk:4": "circle disc pillbox defocus bokeh lens circular",
    "ball:4": "sphere",
    "identity": "delta dirac impulse unit unity noop none copy",
    "motion:9,45": "motionblur directional",
    "gabor:8,45": "wavelet morlet",
    "binomial:5": "pascal pyramid pyrdown",
    "bilinear": "linear triangle tent",
    "bicubic": "cubic catmullrom catrom mitchell",
    "nearest": "nn nearestneighbor nearestneighbour point",
    "lanczos": "sinc",
    "emboss": "relief bas",
}
"""The kernels meant, a bar between several, and what they are called elsewhere, in letters alone."""
OTHER_FILTERS = frozenset(
    "median bilateral mode min max minimum maximum rank percentile quantile erode erosion dilate dilation opening "
    "closing tophat blackhat morphology kuwahara despeckle canny nlm nlmeans nonlocalmeans guided anisotropic "
    "diffusion tv totalvariation wiener threshold equalize clahe histogram local variance std entropy "
    "medianblur medianfilter bilateralfilter".split()
)
"""Filters whose result is not a weighted sum, in letters alone."""
DIRECTIONS = {**dict(zip("xyzhv", "xyzyx", strict=True)), "horizontal": "y", "vertical": "x", "dx": "x", "dy": "y"}
"""An axis as others call it; scikit-image's horizontal edges are where brightness changes along y."""
WRITTEN = re.compile(r"\s*([a-z][a-z _-]*?)[\s=:(_,/-]*(\d[\dx.,\s×]*|\.\d[\dx.,\s×]*)?\)?\s*", re.ASCII)
CALLED = re.compile(r"(?:[a-z]\w*\.)+([a-z]\w*)\(", re.ASCII)
"""A function of a library: np.ones((3, 3)) / 9, cv2.GaussianBlur(...)."""
DIRECTED = re.compile(r"(sobel|prewitt|scharr|roberts)[\s=:(_,/-]*([a-z]+)\)?", re.ASCII)


def meant(text: str, known: Iterable[str]) -> str:
    """What to say of a text that is no kernel; nothing where it is like nothing that is known here.

    >>> meant("gaussian=2", ["gaussian"]), meant("Gauss(1.5)", ["gaussian"])
    ('; write gaussian:2', '; did you mean gaussian:1.5?')
    """
    word = text.lower()
    directed = DIRECTED.fullmatch(word)
    if directed and directed[2] in DIRECTIONS:
        return f"; write {directed[1]}:{DIRECTIONS[directed[2]]}"
    called = CALLED.match(word)
    written = WRITTEN.fullmatch(called[1] if called else word)
    if written is None:
        return ""
    name = re.sub(r"[\s_-]", "", written[1])
    values = ",".join(part for part in re.split(r"[x×,\s]+", (written[2] or "").removeprefix("0x")) if part)
    if name in known:
        return f"; write {name}{':' * bool(values)}{values}"
    if name in OTHER_FILTERS:
        return "; that is not a convolution: its results are not weighted sums of pixels"
    kernels = next((kernels for kernels, names in ELSEWHERE.items() if name in names.split()), "").split("|")
    kernel = kernels[0].partition(":")[0]
    if values and len(kernels) == 1:
        kernels = [f"{kernel}:{values}"]
    return f"; did you mean {' or '.join(kernels)}?" if kernel else ""
