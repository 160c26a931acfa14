/* The loops of passes.c over rows, compiled for every instruction set: see instructions.h. */

#define LANES (VECTOR > 32 ? VECTOR / (ptrdiff_t)sizeof(double) : 4) /* of AVX2 or two of the baseline, or of AVX-512 */
typedef double NAME(vector) __attribute__((vector_size(LANES * sizeof(double))));
typedef double NAME(loose) __attribute__((vector_size(LANES * sizeof(double)), aligned(sizeof(double)), may_alias));

/* What a row of pixels adds to a block of rows of outputs, `from` one on `to` before another: pixels that are loaded serve them
 * all, each with a tap of its own. */
static INLINE TARGET void NAME(add_row)(NAME(vector) sums[TALL][THREE], const double *pixels, const double *tap, int from, int to)
{
    for (int t = from; t < to; t++)
        for (int v = 0; v < THREE; v++)
            sums[t][v] += tap[-t] * ((const NAME(loose) *)pixels)[v];
}

/* Sums down `tall` rows of outputs, which read as many rows as there are taps, each from one further down on. Rows have room
 * for whole blocks. */
static INLINE TARGET void NAME(down_rows)(const double *taps, ptrdiff_t count, const double *const *rows, double *const *out,
                                          ptrdiff_t columns, int tall)
{
#define CASE(from, to) \
    case (from) * (TALL + 1) + (to): \
        NAME(add_row)(sums, rows[i] + x, taps + i, from, to); \
        break;
    for (ptrdiff_t x = 0; x < columns; x += THREE * LANES) {
        NAME(vector) sums[TALL][THREE] = {{{0}}};
        for (ptrdiff_t i = 0; i < count + tall - 1; i++) {
            ptrdiff_t from = larger(0, i - count + 1), to = smaller(tall, i + 1);
            switch (from * (TALL + 1) + to) {
                CASE(0, 1) CASE(0, 2) CASE(0, 3) CASE(0, 4) CASE(1, 2) CASE(1, 3) CASE(1, 4) CASE(2, 3) CASE(2, 4) CASE(3, 4)
            }
        }
        for (int t = 0; t < tall; t++)
            for (int v = 0; v < THREE; v++)
                ((NAME(loose) *)(out[t] + x))[v] = sums[t][v];
    }
#undef CASE
}

static TARGET void NAME(down)(const double *taps, ptrdiff_t count, const double *const *rows, double *const *out,
                              ptrdiff_t columns, ptrdiff_t tall)
{
    if (tall == TALL)
        NAME(down_rows)(taps, count, rows, out, columns, TALL);
    else
        for (ptrdiff_t t = 0; t < tall; t++)
            NAME(down_rows)(taps, count, rows + t, out + t, columns, 1);
}

/* What the pixels of some rows, `begin` one on `end` before another, add to a block of vectors: those `from` one on `to` before
 * another read what is loaded, each with a tap of its own. */
static INLINE TARGET void NAME(add_pixels)(NAME(vector) sums[TALL][WIDE], const double *const *rows, ptrdiff_t at, ptrdiff_t step,
                                           const double *taps, ptrdiff_t begin, ptrdiff_t end, int from, int to, int tall)
{
    for (ptrdiff_t i = begin; i < end; i++)
        for (int t = 0; t < tall; t++) {
            NAME(vector) pixels = *(const NAME(loose) *)(rows[t] + at + i * step);
            for (int v = from; v < to; v++)
                sums[t][v] += taps[i - v * LANES] * pixels;
        }
}

/* Sums along `tall` rows, a pixel's samples `step` apart from the next one's. The vectors of a block are apart by as many
 * vectors, so that what one reads at a tap the next one reads LANES taps before. Rows have room for whole blocks. */
static INLINE TARGET void NAME(along_rows)(const double *taps, ptrdiff_t count, ptrdiff_t step, const double *const *rows,
                                           double *const *out, ptrdiff_t columns, int tall)
{
#define CASE(from, to) \
    case (from) * (WIDE + 1) + (to): \
        NAME(add_pixels)(sums, rows, at, step, taps, i, next, from, to, tall); \
        break;
    for (ptrdiff_t x = 0; x < columns; x += WIDE * LANES * step)
        for (ptrdiff_t at = x; at < x + step * LANES; at += LANES) {
            NAME(vector) sums[TALL][WIDE] = {{{0}}};
            for (ptrdiff_t i = 0, next; i < (WIDE - 1) * LANES + count; i = next) {
                ptrdiff_t from = i < count ? 0 : (i - count) / LANES + 1, to = smaller(WIDE, i / LANES + 1);
                next = from * LANES + count; /* where `from` has no more taps, or one more joins in */
                next = to < WIDE ? smaller(next, to * LANES) : next;
                switch (from * (WIDE + 1) + to) {
                    CASE(0, 1) CASE(0, 2) CASE(0, 3) CASE(0, 4) CASE(1, 2) CASE(1, 3) CASE(1, 4) CASE(2, 3) CASE(2, 4) CASE(3, 4)
                }
            }
            for (int t = 0; t < tall; t++)
                for (int v = 0; v < WIDE; v++)
                    *(NAME(loose) *)(out[t] + at + v * LANES * step) = sums[t][v];
        }
#undef CASE
}

/* The same by as many rows at a time as registers hold. */
static TARGET void NAME(along)(const double *taps, ptrdiff_t count, ptrdiff_t step, const double *const *rows, double *const *out,
                               ptrdiff_t columns, ptrdiff_t tall)
{
    ptrdiff_t t = 0;
    for (; VECTOR > 32 && t + TALL <= tall; t += TALL)
        NAME(along_rows)(taps, count, step, rows + t, out + t, columns, TALL);
    for (; t + 2 <= tall; t += 2)
        NAME(along_rows)(taps, count, step, rows + t, out + t, columns, 2);
    for (; t < tall; t++)
        NAME(along_rows)(taps, count, step, rows + t, out + t, columns, 1);
}

#define REAL double
#define MAGIC 6755399441055744.0
#define KIND NAME
#include "narrow.h"
#undef REAL
#undef MAGIC
#undef KIND

#define WIDEN(name, ...) NAME(widen_##name),
#define NARROW(name, ...) NAME(narrow_##name),
static const struct kernels NAME(kernels) = {NAME(down), NAME(along), {SAMPLES(WIDEN)}, {SAMPLES(NARROW)}, LANES};
#undef WIDEN
#undef NARROW
#undef LANES
