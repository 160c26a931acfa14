/* A function compiled for several instruction sets; the best one that the processor has is called.
 *
 * VERSIONS(name, (int a, float *b), (a, b)) makes `name` of an inline `name_body` with the same parameters.
 */

#include "processor.h"

#define INLINE static inline __attribute__((always_inline))

#ifdef __x86_64__
#define VERSIONS(name, parameters, arguments)                                                                          \
    __attribute__((target("avx2,fma"))) static void name##_avx2 parameters { name##_body arguments; }                  \
    static void name##_baseline parameters { name##_body arguments; }                                                  \
    static void name parameters                                                                                        \
    {                                                                                                                  \
        if (processor_has(AVX2_FMA))                                                                                   \
            name##_avx2 arguments;                                                                                     \
        else                                                                                                           \
            name##_baseline arguments;                                                                                 \
    }
#else
#define VERSIONS(name, parameters, arguments) static void name parameters { name##_body arguments; }
#endif
