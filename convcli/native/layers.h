/* The loops of layers.c over samples, compiled for every instruction set: see instructions.h. */

#include "floats.h"

/* Sums and differences of neighbouring rows of samples, `count` of them in each; what lies behind a row's end is mixed, too. */
static TARGET void NAME(mix)(const struct bands *bands, ptrdiff_t rows, ptrdiff_t count)
{
    for (ptrdiff_t s = 0; s + 1 < rows; s++) {
        const float *here = bands->samples + s * bands->slot, *next = here + bands->slot;
        const float *second = s + 2 < rows ? next + bands->slot : next;
        for (ptrdiff_t i = 0; i < count; i += LANES) {
            vector a = AT(here, i), b = AT(next, i);
            AT(bands->sums + s * bands->slot, i) = a + b;
            AT(bands->steps + s * bands->slot, i) = b - a;
            AT(bands->spans + s * bands->slot, i) = a - AT(second, i);
        }
    }
}

/* Add products to the sums of a block: each vector of pixels serves all filters. */
static INLINE TARGET void NAME(add)(vector *sums, const float *bands, const struct list *list, const float *taps)
{
    for (ptrdiff_t i = 0; i < list->count; i++, taps += TOGETHER) {
        const float *from = bands + list->reads[i];
        vector pixels[ABREAST];
        for (int v = 0; v < ABREAST; v++)
            pixels[v] = AT(from, v * LANES);
        for (int f = 0; f < TOGETHER; f++)
            for (int v = 0; v < ABREAST; v++)
                sums[f * ABREAST + v] += taps[f] * pixels[v];
    }
}

/* Write the sums of a row of outputs of each filter. */
static INLINE TARGET void NAME(put)(const vector *sums, float *const *out, ptrdiff_t x, vector *unusual)
{
    for (int f = 0; f < TOGETHER; f++)
        for (int v = 0; v < ABREAST; v++) {
            vector value = sums[f * ABREAST + v];
            *unusual += value - value; /* 0, or NaN for ever after an infinity, a NaN or an overflow */
            AT(out[f], x + v * LANES) = value;
        }
}

/* Two rows of `columns` outputs of each filter. The last block reaches back over the one before, or ahead over a margin. True
 * if a value is not finite. */
static TARGET int NAME(along)(const float *bands, const struct list lists[LISTS], const float *const taps[LISTS],
                              float *const out[2 * TOGETHER], ptrdiff_t columns)
{
    enum { SUMS = TOGETHER * ABREAST };
    vector unusual = {0};
    ptrdiff_t width = ABREAST * LANES, last = columns > width ? columns - width : 0;
    for (ptrdiff_t i = 0; i < columns; i += width) {
        ptrdiff_t x = smaller(i, last);
        vector upper[SUMS], lower[SUMS];
        for (int s = 0; s < SUMS; s++)
            upper[s] = lower[s] = (vector){0};
        NAME(add)(lower, bands + x, &lists[BOTH], taps[BOTH]);
        NAME(add)(upper, bands + x, &lists[OPPOSITE], taps[OPPOSITE]);
        for (int s = 0; s < SUMS; s++) {
            vector both = lower[s], opposite = upper[s];
            upper[s] = both + opposite, lower[s] = both - opposite;
        }
        NAME(add)(upper, bands + x, &lists[UPPER], taps[UPPER]);
        NAME(put)(upper, out, x, &unusual);
        NAME(add)(lower, bands + x, &lists[LOWER], taps[LOWER]);
        NAME(put)(lower, out + TOGETHER, x, &unusual);
    }
    int any = 0;
    for (int i = 0; i < LANES; i++)
        any |= unusual[i] != 0;
    return any;
}

static const struct kernels NAME(kernels) = {NAME(mix), NAME(along), ABREAST * LANES};
