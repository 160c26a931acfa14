/* The loops of banks.c over filters and positions, compiled for every instruction set: see instructions.h. */

#include "floats.h"

/* Positions of a block beside one another, for one vector of filters and for two: sums, a tap of each, and a pixel fill the
 * registers, 32 with AVX-512 and else 16. */
#if VECTOR == 64
#define MOST_OF_ONE 14
#define MOST_VECTORS 4
#define MOST_OF_TWO 14
#define EVERY_LANE(X, h) \
    X(0, h), X(1, h), X(2, h), X(3, h), X(4, h), X(5, h), X(6, h), X(7, h), X(8, h), X(9, h), X(10, h), X(11, h), X(12, h), \
        X(13, h), X(14, h), X(15, h)
#elif VECTOR == 32
#define MOST_OF_ONE 12
#define MOST_VECTORS 2
#define MOST_OF_TWO 6
#define EVERY_LANE(X, h) X(0, h), X(1, h), X(2, h), X(3, h), X(4, h), X(5, h), X(6, h), X(7, h)
#else
#define MOST_OF_ONE 12
#define MOST_VECTORS 2
#define MOST_OF_TWO 6
#define EVERY_LANE(X, h) X(0, h), X(1, h), X(2, h), X(3, h)
#endif

/* Products of successive taps, each of `many` vectors of filters and `most` positions. */
static INLINE TARGET void NAME(sum)(const float *pixels, const struct stretch *stretch, float *sums, const int many,
                                    const int most)
{
    vector s[ABREAST * 14];
    const float *taps = stretch->taps, *others = stretch->taps + stretch->apart;
#pragma GCC unroll 32
    for (int i = 0; i < ABREAST * most; i++)
        s[i] = (vector){0};
    for (ptrdiff_t i = 0; i < stretch->count; i++) {
        const float *from = pixels + stretch->reads[i];
        vector a = AT(taps, i * LANES), b = a;
        if (many > 1)
            b = AT(others, i * LANES);
#pragma GCC unroll 16
        for (int p = 0; p < most; p++) {
            s[p * ABREAST] += a * from[p];
            if (many > 1)
                s[p * ABREAST + 1] += b * from[p];
        }
    }
#pragma GCC unroll 16
    for (int p = 0; p < most; p++)
#pragma GCC unroll 2
        for (int v = 0; v < many; v++) {
            float *at = sums + (p * ABREAST + v) * LANES;
            AT(at, 0) = stretch->begins ? s[p * ABREAST + v] : s[p * ABREAST + v] + AT(at, 0);
        }
}

#define BLOCK(many, most)                                                                                              \
    static TARGET void NAME(block_##many##_##most)(const float *pixels, const struct stretch *stretch, float *sums)    \
    {                                                                                                                  \
        NAME(sum)(pixels, stretch, sums, many, most);                                                                  \
    }
#define BLOCKS_OF(many) BLOCK(many, 1) BLOCK(many, 2) BLOCK(many, 3) BLOCK(many, 4) BLOCK(many, 5) BLOCK(many, 6)
#define MORE_OF(many) BLOCK(many, 7) BLOCK(many, 8) BLOCK(many, 9) BLOCK(many, 10) BLOCK(many, 11) BLOCK(many, 12)
#define NAMES_OF(many)                                                                                                 \
    NAME(block_##many##_1), NAME(block_##many##_2), NAME(block_##many##_3), NAME(block_##many##_4),                    \
        NAME(block_##many##_5), NAME(block_##many##_6)
#define MORE_NAMES_OF(many)                                                                                            \
    NAME(block_##many##_7), NAME(block_##many##_8), NAME(block_##many##_9), NAME(block_##many##_10),                   \
        NAME(block_##many##_11), NAME(block_##many##_12)

BLOCKS_OF(1) MORE_OF(1) BLOCKS_OF(2)
#if VECTOR == 64
BLOCK(1, 13) BLOCK(1, 14) MORE_OF(2) BLOCK(2, 13) BLOCK(2, 14)
#endif

#define LOW(l, h) ((l) & (h) ? (int)(VECTOR / sizeof(float)) + (l) - (h) : (l))
#define HIGH(l, h) ((l) & (h) ? (int)(VECTOR / sizeof(float)) + (l) : (l) + (h))
#define TURN(h)                                                                                                        \
    if (h < LANES) {                                                                                                   \
        _Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) if (!(i & (h)))                                       \
        {                                                                                                              \
            vector a = v[i], b = v[(i + (h)) % LANES];                                                                 \
            v[i] = __builtin_shufflevector(a, b, EVERY_LANE(LOW, (h) % (int)(VECTOR / sizeof(float))));                \
            v[(i + (h)) % LANES] = __builtin_shufflevector(a, b, EVERY_LANE(HIGH, (h) % (int)(VECTOR / sizeof(float)))); \
        }                                                                                                              \
    }

#define EVEN(l, h) (2 * (l) + (h))

/* The columns of a row dealt out into `phases`, `count` in each. What lies behind is read, and nothing of it shows. */
static TARGET void NAME(deal)(const float *pixels, ptrdiff_t stride, ptrdiff_t phases, ptrdiff_t count, float *to)
{
    ptrdiff_t i = 0;
    for (; stride == 2 && phases == 2 && i + LANES <= count; i += LANES) {
        vector a = AT(pixels, 2 * i), b = AT(pixels, 2 * i + LANES);
        AT(to, i) = __builtin_shufflevector(a, b, EVERY_LANE(EVEN, 0));
        AT(to, count + i) = __builtin_shufflevector(a, b, EVERY_LANE(EVEN, 1));
    }
    for (; i < count; i++)
        for (ptrdiff_t p = 0; p < phases; p++)
            to[p * count + i] = pixels[i * stride + p];
}

/* Sums (count, ABREAST, LANES) of one vector of filters into `count` places of each filter, `apart` floats from one to the
 * next. True if a value is not finite. */
static TARGET int NAME(turn)(const float *sums, ptrdiff_t count, float *out, ptrdiff_t apart, ptrdiff_t filters)
{
    vector unusual = {0};
    ptrdiff_t last = count > LANES ? count - LANES : 0;
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        ptrdiff_t x = smaller(i, last), wide = smaller(count, LANES);
        vector v[LANES];
#pragma GCC unroll 16
        for (int p = 0; p < LANES; p++) {
            v[p] = (vector){0};
            if (p < wide)
                v[p] = AT(sums, (x + p) * ABREAST * LANES);
            unusual += v[p] - v[p]; /* 0, or NaN for ever after an infinity, a NaN or an overflow */
        }
        TURN(1) TURN(2) TURN(4) TURN(8)
        if (wide == LANES && filters >= LANES) {
#pragma GCC unroll 16
            for (int f = 0; f < LANES; f++)
                AT(out + f * apart, x) = v[f];
        } else
            for (int f = 0; f < LANES && f < filters; f++)
                memcpy(out + f * apart + x, &v[f], (size_t)wide * sizeof(float));
    }
    int any = 0;
    for (int i = 0; i < LANES; i++)
        any |= unusual[i] != 0;
    return any;
}

/* Products of the rows of one channel: TALL rows of outputs by `many` vectors of columns, which begin at `places`. */
static INLINE TARGET void NAME(add_rows)(const float *pixels, const float *taps, const struct rows *rows,
                                         const ptrdiff_t *places, vector *sums, const int many)
{
    for (ptrdiff_t r = 0; r < rows->count; r++) {
        const struct row *row = &rows->each[r];
        const float *from = pixels + row->from, *each[TALL];
        for (int t = 0; t < TALL; t++)
            each[t] = row->taps[t] < 0 ? NULL : taps + row->taps[t];
        for (ptrdiff_t x = 0; x < rows->wide; x++) {
            vector p[WIDEST];
#pragma GCC unroll 4
            for (int v = 0; v < many; v++)
                p[v] = AT(from, rows->columns[x] + places[v]);
#pragma GCC unroll 4
            for (int t = 0; t < TALL; t++)
                if (each[t])
#pragma GCC unroll 4
                    for (int v = 0; v < many; v++)
                        sums[t * WIDEST + v] += each[t][x] * p[v];
        }
    }
}

/* TALL rows of outputs of a filter; `out` is NULL for those that are not wanted. True if a value is not finite. */
static INLINE TARGET int NAME(put_rows)(const float *pixels, const float *taps, const struct rows *rows,
                                        float *const out[TALL], ptrdiff_t columns, ptrdiff_t first, const int many)
{
    vector sums[TALL * WIDEST], unusual = {0};
    int any = 0;
    ptrdiff_t places[WIDEST], last = columns > LANES ? columns - LANES : 0, wide = smaller(columns, LANES);
#pragma GCC unroll 16
    for (int i = 0; i < TALL * WIDEST; i++)
        sums[i] = (vector){0};
#pragma GCC unroll 4
    for (int v = 0; v < many; v++)
        places[v] = smaller(first + v * LANES, last);
    NAME(add_rows)(pixels, taps, rows, places, sums, many);
#pragma GCC unroll 4
    for (int t = 0; t < TALL; t++)
        for (int v = 0; v < many && out[t]; v++) {
            vector value = sums[t * WIDEST + v];
            if (wide == LANES) {
                unusual += value - value;
                AT(out[t], places[v]) = value;
                continue;
            }
            memcpy(out[t], &value, (size_t)wide * sizeof(float));
            for (ptrdiff_t i = 0; i < wide; i++) /* what lies behind a short row is anything */
                any |= !(value[i] - value[i] == 0);
        }
    for (int i = 0; i < LANES; i++)
        any |= unusual[i] != 0;
    return any;
}

static TARGET int NAME(rows)(const float *pixels, const float *taps, const struct rows *rows, float *const out[TALL],
                             ptrdiff_t columns)
{
    int unusual = 0;
    ptrdiff_t x = 0, left = parts(columns, LANES);
    for (; left >= MOST_VECTORS; left -= MOST_VECTORS, x += MOST_VECTORS * LANES)
        unusual |= NAME(put_rows)(pixels, taps, rows, out, columns, x, MOST_VECTORS);
    if (left == 3)
        unusual |= NAME(put_rows)(pixels, taps, rows, out, columns, x, 3);
    else if (left == 2)
        unusual |= NAME(put_rows)(pixels, taps, rows, out, columns, x, 2);
    else if (left == 1)
        unusual |= NAME(put_rows)(pixels, taps, rows, out, columns, x, 1);
    return unusual;
}

static block *const NAME(ones)[] = {
    NAMES_OF(1), MORE_NAMES_OF(1),
#if VECTOR == 64
    NAME(block_1_13), NAME(block_1_14),
#endif
};
static block *const NAME(twos)[] = {
    NAMES_OF(2),
#if VECTOR == 64
    MORE_NAMES_OF(2), NAME(block_2_13), NAME(block_2_14),
#endif
};

static const struct kernels NAME(kernels) = {
    {NAME(ones), NAME(twos)}, {MOST_OF_ONE, MOST_OF_TWO}, NAME(deal), NAME(turn), NAME(rows), LANES};

#undef MOST_OF_ONE
#undef MOST_OF_TWO
#undef MOST_VECTORS
#undef EVERY_LANE
#undef BLOCK
#undef BLOCKS_OF
#undef MORE_OF
#undef NAMES_OF
#undef MORE_NAMES_OF
#undef LOW
#undef HIGH
#undef EVEN
#undef TURN
