/* The loops of sums.c over rows, compiled for every instruction set: see instructions.h. */

/* A row of sums of two parts of a window, and of a pixel beside them where their number is odd. */
#define JOIN(name, type, ...) \
    static TARGET void NAME(join_##name)(void *restrict to, const void *left, const void *right, const void *more, \
                                         ptrdiff_t count) \
    { \
        type *restrict sums = to; \
        const type *a = left, *b = right, *c = more; \
        if (c) \
            for (ptrdiff_t i = 0; i < count; i++) \
                sums[i] = (type)(a[i] + b[i] + c[i]); \
        else \
            for (ptrdiff_t i = 0; i < count; i++) \
                sums[i] = (type)(a[i] + b[i]); \
    }
TOTALS(JOIN)
#undef JOIN

/* Sums down the columns of a window that moves on by a row: what enters is added, what leaves is taken away. Unsigned numbers
 * wrap, so that the sums are right once they fit, whatever their signs. The cache, which does not foresee rows that lie apart,
 * is told of the samples `ahead`: those of the next row, and of results. */
#define SLIDE(from, type, to, total) \
    static TARGET void NAME(slide_##from##_##to)(void *restrict columns, const void *entering, const void *leaving, \
                                                 const char *const ahead[2], ptrdiff_t count) \
    { \
        total *restrict sums = columns; \
        const type *in = entering, *out = leaving; \
        ptrdiff_t size = sizeof(type), block = TOGETHER * LINE / size; \
        for (ptrdiff_t x = 0; x < count; x += block) { \
            ptrdiff_t end = count - x < block ? count : x + block; \
            for (ptrdiff_t i = x * size; i < end * size; i += LINE) \
                __builtin_prefetch(ahead[0] + i), __builtin_prefetch(ahead[1] + i); \
            for (ptrdiff_t i = x; i < end; i++) \
                sums[i] = (total)(sums[i] + (total)in[i] - (total)out[i]); \
        } \
    }
SLIDES(SLIDE)
#undef SLIDE

static TARGET void NAME(extend)(uint32_t *restrict to, const uint16_t *from, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i++)
        to[i] = from[i];
}

/* The same along a row, for pixels of 1, 3 or 4 samples: each sum is the one before it, and four samples are one vector. */
typedef uint32_t NAME(four) __attribute__((vector_size(16)));
typedef uint32_t NAME(four_loose) __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint16_t NAME(half_loose) __attribute__((vector_size(8), aligned(2), may_alias));
#define four NAME(four)
#define WIDE_short(from) __builtin_convertvector(*(const NAME(half_loose) *)(from), four)
#define WIDE_long(from) ((four)*(const NAME(four_loose) *)(from))
#define SLIDE_ALONG(name, type) \
    static TARGET void NAME(along_##name)(void *restrict to, const void *from, ptrdiff_t taps, ptrdiff_t step, ptrdiff_t count) \
    { \
        uint32_t *restrict sums = to; \
        const type *in = from; \
        const four none = {0}; \
        four sum = {0}; \
        if (step > 1) { \
            for (ptrdiff_t tap = 0; tap < taps; tap++) \
                sum += WIDE_##name(in + tap * step); \
            for (ptrdiff_t x = 0; x < count; x += step) { \
                *(NAME(four_loose) *)(sums + x) = sum; \
                sum += WIDE_##name(in + x + taps * step) - WIDE_##name(in + x); \
            } \
            return; \
        } \
        for (ptrdiff_t tap = 0; tap < taps; tap++) \
            sum[0] += in[tap]; \
        *sums = sum[0], sum = __builtin_shufflevector(sum, sum, 0, 0, 0, 0); \
        for (ptrdiff_t x = 0; x + 1 < count; x += 4) { \
            four change = WIDE_##name(in + x + taps) - WIDE_##name(in + x); \
            change += __builtin_shufflevector(none, change, 0, 4, 5, 6); \
            sum += change + __builtin_shufflevector(none, change, 0, 1, 4, 5); \
            *(NAME(four_loose) *)(sums + x + 1) = sum; \
            sum = __builtin_shufflevector(sum, sum, 3, 3, 3, 3); \
        } \
    }
SLIDE_ALONG(short, uint16_t)
SLIDE_ALONG(long, uint32_t)
#undef SLIDE_ALONG
#undef WIDE_short
#undef WIDE_long
#undef four

/* What a row adds to the sums down the columns: those of each length that end with it, and those of all, times the tap, if they
 * go anywhere. A part of the columns, as each level keeps them. True if a result is not finite. */
#define DESCEND(name, type) \
    typedef type NAME(name##_vector) __attribute__((vector_size(VECTOR))); \
    typedef type NAME(name##_loose) __attribute__((vector_size(VECTOR), aligned(sizeof(type)), may_alias)); \
    static TARGET int NAME(descend_##name)(const struct level *levels, ptrdiff_t count, const void *newest, void *out, \
                                           ptrdiff_t columns, ptrdiff_t part, double tap) \
    { \
        const type *rows[2 * MOST_STEPS], *pixels = newest; \
        type *made[MOST_STEPS], *results = out, all = 0; \
        NAME(name##_vector) any = {0}; \
        ptrdiff_t x = 0; \
        for (ptrdiff_t i = 0; i < count; i++) { \
            rows[2 * i] = (const type *)(levels[i].first + part * levels[i].span); \
            rows[2 * i + 1] = levels[i].second ? (const type *)(levels[i].second + part * levels[i].span) : NULL; \
            made[i] = levels[i].to ? (type *)(levels[i].to + part * levels[i].next_span) : NULL; \
        } \
        BLOCKS(4, name, type) \
        BLOCKS(1, name, type) \
        for (; x < columns; x++) { \
            type sum = pixels[x]; \
            for (ptrdiff_t i = 0; i < count; i++) { \
                sum = rows[2 * i + 1] ? rows[2 * i][x] + rows[2 * i + 1][x] + pixels[x] : rows[2 * i][x] + sum; \
                if (made[i]) \
                    made[i][x] = sum; \
            } \
            sum *= (type)tap; \
            all += sum - sum; \
            if (results) \
                results[x] = sum; \
        } \
        for (ptrdiff_t i = 0; i < (ptrdiff_t)(VECTOR / sizeof(type)); i++) \
            all += any[i]; \
        return all != 0; \
    }
#define BLOCKS(wide, name, type) \
    for (; x + (wide) * (ptrdiff_t)(VECTOR / sizeof(type)) <= columns; x += (wide) * (ptrdiff_t)(VECTOR / sizeof(type))) { \
        NAME(name##_vector) pixel[wide], sum[wide]; \
        for (int v = 0; v < (wide); v++) \
            sum[v] = pixel[v] = ((const NAME(name##_loose) *)(pixels + x))[v]; \
        for (ptrdiff_t i = 0; i < count; i++) { \
            const NAME(name##_loose) *first = (const NAME(name##_loose) *)(rows[2 * i] + x); \
            const NAME(name##_loose) *second = (const NAME(name##_loose) *)(rows[2 * i + 1] + x); \
            if (rows[2 * i + 1]) \
                for (int v = 0; v < (wide); v++) \
                    sum[v] = first[v] + second[v] + pixel[v]; \
            else \
                for (int v = 0; v < (wide); v++) \
                    sum[v] = first[v] + sum[v]; \
            if (made[i]) \
                for (int v = 0; v < (wide); v++) \
                    ((NAME(name##_loose) *)(made[i] + x))[v] = sum[v]; \
        } \
        for (int v = 0; v < (wide); v++) { \
            sum[v] *= (type)tap; \
            any += sum[v] - sum[v]; \
            if (results) \
                ((NAME(name##_loose) *)(results + x))[v] = sum[v]; \
        } \
    }
DESCEND(float, float)
DESCEND(double, double)
#undef DESCEND
#undef BLOCKS

/* Sums times the tap, as numbers to be rounded. */
#define WEIGH(name, type, number) \
    static TARGET void NAME(weigh_##name##_float)(void *restrict to, const void *from, ptrdiff_t count, double tap) \
    { \
        float *restrict values = to; \
        const type *sums = from; \
        for (ptrdiff_t i = 0; i < count; i++) \
            values[i] = (float)(number)sums[i] * (float)tap; \
    } \
    static TARGET void NAME(weigh_##name##_double)(void *restrict to, const void *from, ptrdiff_t count, double tap) \
    { \
        double *restrict values = to; \
        const type *sums = from; \
        for (ptrdiff_t i = 0; i < count; i++) \
            values[i] = (double)(number)sums[i] * tap; \
    }
TOTALS(WEIGH)
#undef WEIGH

/* Integers times the tap as samples, where all are known to be within the limits of the type: the lowest bits of a sum with a
 * number that leaves no room for a fraction. */
#define FINISH_WHOLE(name, type, number, real, bits, magic, to_name, to_type) \
    static TARGET void NAME(finish_##name##_##to_name)(void *restrict to, const void *from, ptrdiff_t count, double tap) \
    { \
        to_type *restrict samples = to; \
        const type *sums = from; \
        for (ptrdiff_t i = 0; i < count; i++) { \
            real value = (real)(number)sums[i] * (real)tap + (real)(magic); \
            bits rounded; \
            memcpy(&rounded, &value, sizeof rounded); \
            samples[i] = (to_type)rounded; \
        } \
    }
FINISH_WHOLE(short, uint16_t, uint16_t, float, uint32_t, 12582912.0, uint8, uint8_t)
FINISH_WHOLE(long, uint32_t, int32_t, float, uint32_t, 12582912.0, uint8, uint8_t)
FINISH_WHOLE(long, uint32_t, int32_t, float, uint32_t, 12582912.0, pair, uint16_t)
FINISH_WHOLE(long, uint32_t, int32_t, double, uint64_t, 6755399441055744.0, precise, uint8_t)
FINISH_WHOLE(long, uint32_t, int32_t, double, uint64_t, 6755399441055744.0, precise_pair, uint16_t)
#undef FINISH_WHOLE

#define KIND(name) NAME(name##_double)
#define REAL double
#define MAGIC 6755399441055744.0
#include "narrow.h"
#undef KIND
#undef REAL
#undef MAGIC
#define KIND(name) NAME(name##_float)
#define REAL float
#define MAGIC 12582912.0
#include "narrow.h"
#undef KIND
#undef REAL
#undef MAGIC

#define JOIN(name, ...) NAME(join_##name),
#define WEIGH(name, ...) {NAME(weigh_##name##_float), NAME(weigh_##name##_double)},
#define SLIDE(from, type, to, total) NAME(slide_##from##_##to),
#define WIDEN(name, ...) {NAME(widen_##name##_float), NAME(widen_##name##_double)},
#define NARROW(name, ...) {NAME(narrow_##name##_float), NAME(narrow_##name##_double)},
static const struct kernels NAME(kernels) = {
    {TOTALS(JOIN)}, {TOTALS(WEIGH)}, {SLIDES(SLIDE)}, NAME(extend),
    {NAME(finish_short_uint8), NAME(finish_long_uint8), NAME(finish_long_precise), NAME(finish_long_pair), NAME(finish_long_precise_pair)},
    {NAME(along_short), NAME(along_long)}, {NAME(descend_float), NAME(descend_double)},
    {SAMPLES(WIDEN)}, {SAMPLES(NARROW)},
};
#undef JOIN
#undef WEIGH
#undef SLIDE
#undef WIDEN
#undef NARROW
