/* An axis of a convolution, and whether what is asked of it stays inside the image. */

#include <stddef.h>

struct axis {
    ptrdiff_t stride, dilation;
};

static inline ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

static inline ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

static inline ptrdiff_t parts(ptrdiff_t whole, ptrdiff_t most) { return (whole + most - 1) / most; }

/* Whether `outputs` positions of `taps` taps fit on `size` pixels, without overflow for any numbers. What a single
 * position or tap leaves without a meaning becomes 1. */
static inline int fits(ptrdiff_t outputs, ptrdiff_t taps, struct axis *axis, ptrdiff_t size)
{
    if (outputs < 1 || taps < 1 || size < 1 || axis->stride < 1 || axis->dilation < 1)
        return 0;
    axis->stride = outputs > 1 ? axis->stride : 1;
    axis->dilation = taps > 1 ? axis->dilation : 1;
    ptrdiff_t rest = size - 1;
    return outputs - 1 <= rest / axis->stride && taps - 1 <= (rest - (outputs - 1) * axis->stride) / axis->dilation;
}
