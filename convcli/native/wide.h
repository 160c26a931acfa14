/* The loops of wide.c over samples, compiled for every instruction set: see instructions.h. */

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

#define REAL double
#define MAGIC 6755399441055744.0
#define KIND NAME
#include "narrow.h"
#undef REAL
#undef MAGIC
#undef KIND

#define WIDEN(name, ...) NAME(widen_##name),
#define NARROW(name, ...) NAME(narrow_##name),
static const struct kernels NAME(kernels) = {NAME(sum), {SAMPLES(WIDEN)}, {SAMPLES(NARROW)}};
#undef WIDEN
#undef NARROW
