/* Loops over samples, compiled for every instruction set of the processor's family.
 *
 * The includer defines LOOPS, the header that they are written in, once; WITH_AVX512, if they gain by it; and `struct
 * kernels`, what they are. In LOOPS, VECTOR is the bytes of a register, TARGET the attribute that allows the instructions,
 * and NAME(x) makes a name of its own; what it makes is a `static const struct kernels NAME(kernels)`.
 */

#include "processor.h"

#define INLINE inline __attribute__((always_inline))

#define VECTOR 16
#define TARGET
#define NAME(name) name##_baseline
#include LOOPS
#undef VECTOR
#undef TARGET
#undef NAME

#ifdef __x86_64__
#define VECTOR 32
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(name) name##_avx2
#include LOOPS
#undef VECTOR
#undef TARGET
#undef NAME

#ifdef WITH_AVX512
#define VECTOR 64
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#define NAME(name) name##_avx512
#include LOOPS
#undef VECTOR
#undef TARGET
#undef NAME
#endif
#endif

/* In the order of preference, each the better of those before it. */
static const struct {
    const char *name;
    const struct kernels *kernels;
} INSTRUCTIONS[] = {
    {"baseline", &kernels_baseline},
#ifdef __x86_64__
    {"avx2", &kernels_avx2},
#ifdef WITH_AVX512
    {"avx512", &kernels_avx512},
#endif
#endif
};

/* How many of them this processor has. */
static int supported(void)
{
    int count = 1;
#ifdef __x86_64__
    count += processor_has(AVX2_FMA);
#ifdef WITH_AVX512
    count += processor_has(AVX512);
#endif
#endif
    return count;
}
