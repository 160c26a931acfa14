/* What this processor has, asked once. `__builtin_cpu_supports` asks a library that Clang does not link on Windows. */

#ifndef CONVCLI_PROCESSOR_H
#define CONVCLI_PROCESSOR_H

#ifdef __x86_64__

enum { AVX2_FMA = 1, AVX512 = 2 };

/* Registers a, b, c and d. Source: Intel's manual of instructions, CPUID. */
static inline void ask_leaf(unsigned leaf, unsigned found[4])
{
    __asm__("cpuid" : "=a"(found[0]), "=b"(found[1]), "=c"(found[2]), "=d"(found[3]) : "a"(leaf), "c"(0));
}

/* The sets of instructions that the processor has and whose registers the system keeps. */
static inline int ask_processor(void)
{
    enum { FMA = 1u << 12, KEEPS = 1u << 27, AVX2 = 1u << 5, YMM = 0x06, ZMM = 0xe6 };
    const unsigned f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    unsigned last[4], first[4], seventh[4], kept, high;
    ask_leaf(0, last);
    ask_leaf(1, first);
    if (last[0] < 7 || !(first[2] & KEEPS))
        return 0;
    ask_leaf(7, seventh);
    __asm__("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
    if ((kept & YMM) != YMM || !(first[2] & FMA) || !(seventh[1] & AVX2))
        return 0;
    return (kept & ZMM) == ZMM && (seventh[1] & f_dq_bw_vl) == f_dq_bw_vl ? AVX2_FMA | AVX512 : AVX2_FMA;
}

/* Whether it has one of them. */
static inline int processor_has(int set)
{
    static int known = -1;
    int found = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (found < 0) {
        found = ask_processor();
        __atomic_store_n(&known, found, __ATOMIC_RELAXED);
    }
    return (found & set) != 0;
}

#endif
#endif
