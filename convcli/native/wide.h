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

/* Samples to float64, and back, between steps; samples that follow each other go through vectors. */
#define CONVERT(name, to_type, from_type, convert) \
    static inline __attribute__((always_inline)) TARGET void NAME(name##_by)( \
        char *restrict to, ptrdiff_t to_step, const char *restrict from, ptrdiff_t from_step, ptrdiff_t count) \
    { \
        for (ptrdiff_t i = 0; i < count; i++) { \
            from_type old; \
            memcpy(&old, from + i * from_step, sizeof old); \
            to_type new = (to_type)convert(old); \
            memcpy(to + i * to_step, &new, sizeof new); \
        } \
    } \
    static TARGET void NAME(name)(char *restrict to, ptrdiff_t to_step, const char *restrict from, \
                                  ptrdiff_t from_step, ptrdiff_t count) \
    { \
        if (to_step == sizeof(to_type) && from_step == sizeof(from_type)) \
            NAME(name##_by)(to, sizeof(to_type), from, sizeof(from_type), count); \
        else \
            NAME(name##_by)(to, to_step, from, from_step, count); \
    }

/* Clip, round, store and count; a NaN becomes 0 in an integer. What is all within the limits needs one look. */
#define SAMPLE(name, type, format, convert, lowest, highest, slack) \
    CONVERT(widen_##name, double, type, ) \
    CONVERT(narrowed_##name, type, double, convert) \
    static TARGET void NAME(narrow_##name)(char *to, ptrdiff_t to_step, double *values, ptrdiff_t count, \
                                           struct counts *counts) \
    { \
        const int whole = (slack) < 1; \
        const double low = whole ? (lowest) - 0.5 : (lowest), high = whole ? (highest) + 0.5 : (highest); \
        ptrdiff_t inside = 0; \
        for (ptrdiff_t i = 0; i < count; i++) \
            inside += (values[i] >= low) & (whole ? values[i] < high : values[i] <= high); \
        for (ptrdiff_t i = 0; inside < count && i < count; i++) { \
            double value = whole ? values[i] : (double)(type)values[i]; \
            counts->nan += value != value; \
            counts->below += whole ? value < low : value == -INFINITY; \
            counts->above += whole ? value >= high : value == INFINITY; \
            if (whole) \
                values[i] = value != value ? 0 : value < (lowest) ? (lowest) : value > (highest) ? (highest) : value; \
        } \
        NAME(narrowed_##name)(to, to_step, (const char *)values, sizeof *values, count); \
    }
SAMPLES(SAMPLE)
#undef SAMPLE
#undef CONVERT

#define WIDEN(name, ...) NAME(widen_##name),
#define NARROW(name, ...) NAME(narrow_##name),
static const struct kernels NAME(kernels) = {NAME(sum), {SAMPLES(WIDEN)}, {SAMPLES(NARROW)}};
#undef WIDEN
#undef NARROW
