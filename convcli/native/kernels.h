/* The loops of direct.c over samples, compiled for every instruction set: see instructions.h. */

#include "floats.h"

typedef int32_t NAME(integers) __attribute__((vector_size(VECTOR)));
#define integers NAME(integers)

/* Add a run of taps to the sums of a block: the first `shared` rows read the same pixels and the others read others, so
 * that a vector that is loaded serves several outputs; 0: each row reads its own. */
static INLINE TARGET void NAME(add_run)(vector *sums, const char *const *reads, ptrdiff_t at, const float *taps,
                                        const struct run *run, int shared, int tall, int wide)
{
_Pragma("GCC unroll 4")
    for (ptrdiff_t i = 0; i < run->taps; i++, reads += shared == tall ? 1 : shared ? 2 : tall, taps += tall) {
        vector pixels[WIDEST];
        for (int t = 0; t < tall; t++) {
            const loose *from = (const loose *)(reads[t < shared ? 0 : shared ? 1 : t] + at);
            if (t == 0 || t == shared || !shared)
                for (int v = 0; v < wide; v++)
                    pixels[v] = from[v];
            for (int v = 0; v < wide; v++)
                sums[t * wide + v] += taps[t] * pixels[v];
        }
    }
}

/* The same along the rows: in each the vectors of sums `from` one on `to` before another read the same pixels, with taps of
 * their own. */
static INLINE TARGET void NAME(add_sideways)(vector *sums, const char *const *reads, ptrdiff_t at, const float *taps,
                                             const struct run *run, int from, int to, int tall, int wide)
{
    for (ptrdiff_t i = 0; i < run->taps; i++, reads += tall, taps += tall)
        for (int t = 0; t < tall; t++) {
            vector pixels = *(const loose *)(reads[t] + at);
            for (int v = from; v < to; v++)
                sums[t * wide + v] += taps[v] * pixels;
        }
}

/* One block of outputs, `tall` rows of `wide` vectors from byte `at` on. The cases tell the compiler which outputs share
 * pixels, so that every sum stays in a register. */
static INLINE TARGET void NAME(block)(const struct recipe *recipe, const char *const *reads, char *const *out,
                                      ptrdiff_t at, vector *unusual, int tall, int wide)
{
#define CASE(shared) \
    case shared: \
        NAME(add_run)(sums, reads, at, taps, run, shared, tall, wide); \
        break;
#define SIDE(from, to) \
    case BETWEEN(from, to): \
        NAME(add_sideways)(sums, reads, at, taps, run, from, to, tall, wide); \
        break;
    vector sums[TALLEST * WIDEST], total[TALLEST * WIDEST], all = {0};
    const float *taps = recipe->taps;
    for (int i = 0; i < tall * wide; i++)
        sums[i] = (vector){0};
    for (const struct run *run = recipe->runs; run->taps; run++) {
        if (tall == 1)
            NAME(add_run)(sums, reads, at, taps, run, tall, tall, wide);
        else
            switch (run->sharing) {
                CASE(0) CASE(1) CASE(2) CASE(3) CASE(4)
                SIDE(0, 1) SIDE(0, 2) SIDE(0, 3) SIDE(1, 3) SIDE(2, 3)
            }
        reads += run->taps * run->reads;
        taps += run->taps * tall;
        if (run->later)
            for (int i = 0; i < tall * wide; i++)
                if (run->later >> i % wide & 1)
                    sums[i] += total[i];
        if (run->first | run->later)
            for (int i = 0; i < tall * wide; i++)
                if ((run->first | run->later) >> i % wide & 1)
                    total[i] = sums[i], sums[i] = (vector){0};
    }
    if (recipe->several)
        for (int i = 0; i < tall * wide; i++)
            sums[i] += total[i];
    float scale = recipe->scale, bias = recipe->bias;
    ptrdiff_t apart = recipe->gap * VECTOR;
    for (int t = 0; t < tall; t++)
        for (int v = 0; v < wide; v++) {
            vector value = sums[t * wide + v] * scale + bias;
            all += value;
            *(loose *)(out[t] + at + v * apart) = value;
        }
    *unusual += all - all; /* 0, or NaN for ever after an infinity, a NaN or an overflow */
#undef SIDE
#undef CASE
}

/* Blocks along `columns` outputs, `gap` of them between each other's vectors. The last ones reach back over those before,
 * or, where there are fewer columns, ahead over the margin that the caller left. With each block the cache is told of the
 * lines under it in the rows `ahead`, up to NULL. False if every value is finite. */
#define ALONG(name, tall, wide) \
    static TARGET int NAME(name)(const struct recipe *recipe, const char *const *reads, char *const *out, \
                                 ptrdiff_t columns, const char *const *ahead) \
    { \
        vector unusual = {0}; \
        ptrdiff_t width = wide * LANES * recipe->gap, last = columns > width ? columns - width : 0; \
        for (ptrdiff_t x = 0; x < columns; x += width) \
            for (ptrdiff_t i = 0; i < recipe->gap; i++) { \
                ptrdiff_t at = ((x < last ? x : last) + i * LANES) * (ptrdiff_t)sizeof(float); \
                for (const char *const *row = ahead; *row; row++) \
                    __builtin_prefetch(*row + at, 0, 2), __builtin_prefetch(*row + at + LINE, 0, 2); \
                NAME(block)(recipe, reads, out, at, &unusual, tall, wide); \
            } \
        int any = 0; \
        for (int i = 0; i < LANES; i++) \
            any |= unusual[i] != 0; \
        return any; \
    }
ALONG(four_rows, TALLEST, ABREAST)
ALONG(one_row, 1, WIDEST)
#undef ALONG

/* Clip values, none of them NaN, to the limits of an integer type, in place, and count what gave way. */
static TARGET void NAME(settle)(float *values, ptrdiff_t count, const struct limits *limits, struct counts *counts)
{
    const vector zero = {0}, lower = zero + limits->below, upper = zero + limits->above;
    const integers lowest = (integers)(zero + limits->lowest), highest = (integers)(zero + limits->highest);
    integers below = {0}, above = {0};
    while (count % LANES)
        values[count++] = 0; /* in the margin, and inside the limits of every type */
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        vector value = *(const loose *)(values + i);
        integers low = value < lower, high = value >= upper;
        below -= low, above -= high;
        integers clipped = ((integers)value & ~(low | high)) | (lowest & low) | (highest & high);
        *(loose *)(values + i) = (vector)clipped;
    }
    for (int i = 0; i < LANES; i++)
        counts->below += below[i], counts->above += above[i];
}

/* Loops between steps in bytes; contiguous samples go through vectors. */
#define BY_STEPS(result, name, to_type, from_type) \
    static TARGET result NAME(name)(char *restrict to, ptrdiff_t to_step, const char *restrict from, \
                                    ptrdiff_t from_step, ptrdiff_t count) \
    { \
        if (to_step == sizeof(to_type) && from_step == sizeof(from_type)) \
            return NAME(name##_by)(to, sizeof(to_type), from, sizeof(from_type), count); \
        return NAME(name##_by)(to, to_step, from, from_step, count); \
    }

/* Samples to float32, and float32 to where it is wanted. */
#define WIDEN(name, type, ...) \
    static INLINE TARGET void NAME(widen_##name##_by)(char *restrict to, ptrdiff_t to_step, const char *restrict from, \
                                                      ptrdiff_t from_step, ptrdiff_t count) \
    { \
        for (ptrdiff_t i = 0; i < count; i++) { \
            type old; \
            memcpy(&old, from + i * from_step, sizeof old); \
            float new = (float)old; \
            memcpy(to + i * to_step, &new, sizeof new); \
        } \
    } \
    BY_STEPS(void, widen_##name, float, type)

/* Floats, none of them NaN, to the nearest integers. True if some are beyond the limits of the type: what is written for
 * these is wrong. */
#define NARROW(name, type, format, lowest, highest, ...) \
    static INLINE TARGET int NAME(narrow_##name##_by)(char *restrict to, ptrdiff_t to_step, const char *restrict from, \
                                                      ptrdiff_t from_step, ptrdiff_t count) \
    { \
        uint32_t most = 0; \
        for (ptrdiff_t i = 0; i < count; i++) { \
            float old; \
            memcpy(&old, from + i * from_step, sizeof old); \
            uint32_t bits = nearest(old), above = bits - (NEAREST_ZERO + (uint32_t)(lowest)); \
            most = most > above ? most : above; \
            type new = (type)bits; \
            memcpy(to + i * to_step, &new, sizeof new); \
        } \
        return most > (uint32_t)(highest) - (uint32_t)(lowest); \
    } \
    BY_STEPS(int, narrow_##name, type, float)

SAMPLES(WIDEN)
INTEGERS(NARROW)

static TARGET int NAME(narrow_float32)(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step, ptrdiff_t count)
{
    NAME(widen_float32)(to, to_step, from, from_step, count);
    return 0;
}
#undef WIDEN
#undef NARROW
#undef BY_STEPS

#define WIDEN(name, ...) NAME(widen_##name),
#define NARROW(name, ...) NAME(narrow_##name),
static const struct kernels NAME(kernels) = {
    NAME(one_row), NAME(four_rows), NAME(settle), {SAMPLES(WIDEN)}, {SAMPLES(NARROW)}, LANES,
};
#undef WIDEN
#undef NARROW
