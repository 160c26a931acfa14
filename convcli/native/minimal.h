/* The loops of minimal.c over samples, compiled for every instruction set: see instructions.h. */

#include "floats.h"

/* Vectors of a block of `apart` rows of sums: with the taps of a column and a vector of pixels they fill the registers. */
#define ABREAST(apart) (apart < 4 ? 3 : 2)

/* Sums and differences of the rows of samples that lie `apart` and twice `apart` under each other. */
static TARGET void NAME(mix)(const struct cut *cut, const char *const *rows, const struct bands *to, ptrdiff_t count)
{
    ptrdiff_t apart = cut->apart, last = count - LANES, step = apart * SLOT;
    for (ptrdiff_t r = 0; r < apart; r++, rows++) {
        float *outer = to->outer + r * SLOT, *sum = to->sum + r * SLOT, *difference = to->difference + r * SLOT;
        int inner = r + 1 < apart, more = r + 1 < cut->rest;
        const float *a = (const float *)rows[0], *b = (const float *)rows[apart], *c = (const float *)rows[2 * apart],
                    *d = (const float *)rows[3 * apart], *e = (const float *)rows[more ? 4 * apart : 0];
        for (ptrdiff_t i = 0; i < count; i += LANES) {
            ptrdiff_t at = smaller(i, last);
            vector first = AT(a, at), second = AT(b, at), third = AT(c, at), fourth = AT(d, at);
            AT(outer, at) = first - third;
            AT(outer + step, at) = second - fourth;
            AT(sum, at) = third + second;
            AT(difference, at) = third - second;
            if (inner)
                AT(sum + step, at) = fourth + third, AT(difference + step, at) = fourth - third;
            if (more)
                AT(outer + 2 * step, at) = third - AT(e, at);
        }
    }
}

/* Add `groups` rows of taps to the sums of `apart` rows, each a row of pixels below the one before. */
static INLINE TARGET void NAME(add)(vector *sums, const float *pixels, const float *taps,
                                    const struct cut *cut, int apart, int groups)
{
    for (ptrdiff_t column = 0; column < cut->wide; column++, pixels += cut->pace, taps += groups) {
        vector tap[MOST_APART];
        for (int g = 0; g < groups; g++)
            tap[g] = taps[g] - (vector){0};
_Pragma("GCC unroll 16")
        for (int row = 0; row < apart + groups - 1; row++)
            for (int v = 0; v < ABREAST(apart); v++) {
                vector pixel = AT(pixels, row * SLOT + v * LANES);
                if (row > 0 && row < apart + groups - 2) /* several sums need it */
                    HOLD(pixel);
                for (int g = 0; g < groups; g++)
                    if (g <= row && row - g < apart)
                        sums[(row - g) * ABREAST(apart) + v] += tap[g] * pixel;
            }
    }
}

/* Scale and write `apart` rows of sums. */
static INLINE TARGET void NAME(put)(const vector *sums, float *const *out, ptrdiff_t x, const struct cut *cut,
                                    vector *unusual, int apart)
{
    for (int row = 0; row < apart; row++)
        for (int v = 0; v < ABREAST(apart); v++) {
            vector value = sums[row * ABREAST(apart) + v] * cut->scale + cut->bias;
            *unusual += value - value; /* 0, or NaN for ever after an infinity, a NaN or an overflow */
            AT(out[row], x + v * LANES) = value;
        }
}

/* A block of twice `apart` rows of outputs. With y of the upper and z of the lower ones, and m0 to m3 the sums of products
 * over the four bands: y = m0 + m1 + m2, z = m1 - m2 - m3. */
static INLINE TARGET void NAME(block)(const struct cut *cut, const struct bands *bands, float *const *out, ptrdiff_t x,
                                      vector *unusual, int apart)
{
#define SUMS (apart * ABREAST(apart))
#define REST(groups) \
    case groups: \
        NAME(add)(lower, bands->outer + apart * SLOT + x, cut->last, cut, apart, groups <= apart ? groups : apart); \
        break;
    vector upper[MOST_APART * 2], lower[MOST_APART * 2];
    for (int i = 0; i < SUMS; i++)
        upper[i] = lower[i] = (vector){0};
    NAME(add)(lower, bands->sum + x, cut->even, cut, apart, apart);
    NAME(add)(upper, bands->difference + x, cut->odd, cut, apart, apart);
    for (int i = 0; i < SUMS; i++) {
        vector even = lower[i], odd = upper[i];
        upper[i] = even + odd, lower[i] = even - odd;
    }
    NAME(add)(upper, bands->outer + x, cut->first, cut, apart, apart);
    NAME(put)(upper, out, x, cut, unusual, apart);
    switch (cut->rest) {
        REST(1) REST(2) REST(3) REST(4) REST(5)
    }
    NAME(put)(lower, out + apart, x, cut, unusual, apart);
#undef REST
#undef SUMS
}

/* Bands, then blocks along `columns` outputs; the last one reaches back over the one before, or ahead over a margin. With each the
 * cache is told of what will be read and written next. True if a value is not finite. */
#define ALONG(apart) \
    static TARGET int NAME(along_##apart)(const struct cut *cut, const struct bands *bands, const char *const *rows, \
                                          float *const *out, ptrdiff_t columns, const char *const *ahead) \
    { \
        vector unusual = {0}; \
        ptrdiff_t width = ABREAST(apart) * LANES, last = columns > width ? columns - width : 0; \
        NAME(mix)(cut, rows, bands, larger(columns, width) + (cut->wide - 1) * cut->pace); \
        for (ptrdiff_t x = 0; x < columns; x += width) { \
            ptrdiff_t at = smaller(x, last), bytes = at * (ptrdiff_t)sizeof(float); \
            for (const char *const *row = ahead; *row; row++) \
                __builtin_prefetch(*row + bytes, 0, 2), __builtin_prefetch(*row + bytes + LINE, 0, 2); \
            for (int row = 0; row < 2 * apart; row++) \
                __builtin_prefetch((char *)(out[row] + width) + bytes, 1, 3), \
                    __builtin_prefetch((char *)(out[row] + width) + bytes + LINE, 1, 3); \
            NAME(block)(cut, bands, out, at, &unusual, apart); \
        } \
        int any = 0; \
        for (int i = 0; i < LANES; i++) \
            any |= unusual[i] != 0; \
        return any; \
    }
ALONG(3)
ALONG(4)
ALONG(5)
#undef ALONG

static const struct kernels NAME(kernels) = {
    {NAME(along_3), NAME(along_4), NAME(along_5)},
    {ABREAST(3) * LANES, ABREAST(4) * LANES, ABREAST(5) * LANES},
};

#undef ABREAST
