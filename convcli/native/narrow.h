/* Samples to REAL, float or double, and back, compiled for every instruction set: see instructions.h. The includer defines
 * SAMPLES(X), whose arguments are the name, the C type, the letter of the buffer protocol, lowest and highest number, and
 * whether it is an integer; MAGIC, 1.5 times the power of two from which on REAL leaves no room for a fraction; and KIND(x),
 * a name of what belongs to REAL. */

/* Between steps in bytes; samples that follow each other go through vectors. */
#define CONVERT(name, to_type, from_type, convert) \
    static inline __attribute__((always_inline)) TARGET void KIND(name##_by)( \
        char *restrict to, ptrdiff_t to_step, const char *restrict from, ptrdiff_t from_step, ptrdiff_t count) \
    { \
        for (ptrdiff_t i = 0; i < count; i++) { \
            from_type old; \
            memcpy(&old, from + i * from_step, sizeof old); \
            to_type new = (to_type)(convert); \
            memcpy(to + i * to_step, &new, sizeof new); \
        } \
    } \
    static TARGET void KIND(name)(char *restrict to, ptrdiff_t to_step, const char *restrict from, \
                                  ptrdiff_t from_step, ptrdiff_t count) \
    { \
        if (to_step == sizeof(to_type) && from_step == sizeof(from_type)) \
            KIND(name##_by)(to, sizeof(to_type), from, sizeof(from_type), count); \
        else \
            KIND(name##_by)(to, to_step, from, from_step, count); \
    }

/* Clip, round half to even, store and count; a NaN becomes 0 in an integer. What is all within the limits needs one look:
 * half a step below the lowest (even) is still rounded up, half a step above the highest (odd) is not. */
#define SAMPLE(name, type, format, lowest, highest, whole) \
    CONVERT(widen_##name, REAL, type, old) \
    CONVERT(narrowed_##name, type, REAL, (whole) ? (old + (REAL)(MAGIC)) - (REAL)(MAGIC) : old) \
    static TARGET void KIND(narrow_##name)(char *to, ptrdiff_t to_step, void *numbers, ptrdiff_t count, \
                                           struct counts *counts) \
    { \
        REAL *values = numbers; \
        const REAL low = (REAL)((whole) ? (lowest) - 0.5 : (lowest)), high = (REAL)((whole) ? (highest) + 0.5 : (highest)); \
        ptrdiff_t inside = 0; \
        for (ptrdiff_t i = 0; i < count; i++) \
            inside += (values[i] >= low) & ((whole) ? values[i] < high : values[i] <= high); \
        for (ptrdiff_t i = 0; inside < count && i < count; i++) { \
            REAL value = (whole) ? values[i] : (REAL)(type)values[i]; \
            counts->nan += value != value; \
            counts->below += (whole) ? value < low : value == -INFINITY; \
            counts->above += (whole) ? value >= high : value == INFINITY; \
            if (whole) \
                values[i] = value != value            ? 0 \
                            : value < (REAL)(lowest)  ? (REAL)(lowest) \
                            : value > (REAL)(highest) ? (REAL)(highest) \
                                                      : value; \
        } \
        KIND(narrowed_##name)(to, to_step, (const char *)values, sizeof *values, count); \
    }
SAMPLES(SAMPLE)
#undef SAMPLE
#undef CONVERT
