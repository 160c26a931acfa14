/* The loops of wide.c over samples, compiled for every instruction set: see instructions.h. */

#define LANES (VECTOR > 32 ? VECTOR / (ptrdiff_t)sizeof(double) : 4) /* of AVX2 or two of the baseline, or of AVX-512 */
typedef double NAME(vector) __attribute__((vector_size(LANES * sizeof(double))));
typedef double NAME(loose) __attribute__((vector_size(LANES * sizeof(double)), aligned(1), may_alias));

/* The sums of `columns` outputs: blocks of ABREAST vectors, of one, and of one double, each over all taps. */
static TARGET void NAME(sum)(const struct tap *taps, ptrdiff_t count, const double *const *rows, double *sums,
                             ptrdiff_t columns)
{
    ptrdiff_t x = 0;
#define BLOCK(wide) \
    for (; x + (wide) * LANES <= columns; x += (wide) * LANES) { \
        NAME(vector) block[wide]; \
        for (int v = 0; v < (wide); v++) \
            block[v] = (NAME(vector)){0}; \
        for (ptrdiff_t i = 0; i < count; i++) { \
            const NAME(loose) *from = (const NAME(loose) *)(rows[taps[i].row] + taps[i].offset + x); \
            for (int v = 0; v < (wide); v++) \
                block[v] += taps[i].value * from[v]; \
        } \
        for (int v = 0; v < (wide); v++) \
            *(NAME(loose) *)(sums + x + v * LANES) = block[v]; \
    }
    BLOCK(ABREAST)
    BLOCK(1)
#undef BLOCK
    for (; x < columns; x++) {
        double total = 0;
        for (ptrdiff_t i = 0; i < count; i++) {
            total += taps[i].value * rows[taps[i].row][taps[i].offset + x];
            __asm__("" ::: "memory"); /* a loop in vectors would round otherwise than the blocks do */
        }
        sums[x] = total;
    }
}

/* What one row of the window adds to a block of TALL rows of outputs, `from` one on `to` before another: pixels that are loaded
 * serve them all, each with a row of taps of its own. */
static INLINE TARGET void NAME(add_row)(NAME(vector) block[TALL][THREE], const double *pixels, const ptrdiff_t *offsets,
                                        const double *values, ptrdiff_t wide, int from, int to)
{
    for (ptrdiff_t i = 0; i < wide; i++) {
        const NAME(loose) *here = (const NAME(loose) *)(pixels + offsets[i]);
        for (int t = from; t < to; t++)
            for (int v = 0; v < THREE; v++)
                block[t][v] += values[i - t * wide] * here[v];
    }
}

/* The sums of TALL rows of `columns` outputs, three vectors at least, for planes of high x wide taps, TALL at least: in the same
 * order as one by one. The last block reaches back over those before. */
static TARGET void NAME(sum_tall)(const struct rectangle *taps, const double *const *rows, double *sums, ptrdiff_t apart,
                                  ptrdiff_t columns)
{
#define CASE(from, to) \
    case (from) * (TALL + 1) + (to): \
        NAME(add_row)(block, pixels, taps->offsets, values, taps->wide, from, to); \
        break;
    const ptrdiff_t width = THREE * LANES;
    for (ptrdiff_t next = 0; next < columns; next += width) {
        ptrdiff_t x = smaller(next, columns - width), reads = taps->high + TALL - 1;
        NAME(vector) block[TALL][THREE] = {{{0}}};
        for (ptrdiff_t i = 0; i < taps->planes * reads; i++) {
            ptrdiff_t row = i % reads, from = larger(0, row - taps->high + 1), to = smaller(TALL, row + 1);
            const double *values = taps->values + (i / reads * taps->high + row) * taps->wide, *pixels = rows[i] + x;
            switch (from * (TALL + 1) + to) {
                CASE(0, 1) CASE(0, 2) CASE(0, 3) CASE(0, 4) CASE(1, 4) CASE(2, 4) CASE(3, 4)
            }
        }
        for (int t = 0; t < TALL; t++)
            for (int v = 0; v < THREE; v++)
                *(NAME(loose) *)(sums + t * apart + x + v * LANES) = block[t][v];
    }
#undef CASE
}
#undef LANES

#define REAL double
#define MAGIC 6755399441055744.0
#define KIND NAME
#include "narrow.h"
#undef REAL
#undef MAGIC
#undef KIND

#define WIDEN(name, ...) NAME(widen_##name),
#define NARROW(name, ...) NAME(narrow_##name),
static const struct kernels NAME(kernels) = {NAME(sum), NAME(sum_tall), {SAMPLES(WIDEN)}, {SAMPLES(NARROW)}};
#undef WIDEN
#undef NARROW
