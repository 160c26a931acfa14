/* Vectors of float for LOOPS, as wide as a register of the instruction set. */

typedef float NAME(vector) __attribute__((vector_size(VECTOR)));
typedef float NAME(loose) __attribute__((vector_size(VECTOR), aligned(1), may_alias)); /* a vector at any address */

#define vector NAME(vector)
#define loose NAME(loose)
#define LANES ((ptrdiff_t)(VECTOR / sizeof(float)))
#define AT(row, i) (*(loose *)((row) + (i)))
