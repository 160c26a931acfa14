/* Memory that begins with a line of the cache. Windows has no aligned_alloc, and macOS has it since 10.15. */

#ifdef _WIN32
#include <malloc.h>
#endif

enum { LINE_BYTES = 64 };

/* Some bytes, NULL where there is no memory; `give_lines` gives them back. */
static void *take_lines(size_t bytes)
{
#ifdef _WIN32
    return _aligned_malloc(bytes, LINE_BYTES);
#else
    void *memory = NULL;
    return posix_memalign(&memory, LINE_BYTES, bytes) ? NULL : memory;
#endif
}

static void give_lines(void *memory)
{
#ifdef _WIN32
    _aligned_free(memory);
#else
    free(memory);
#endif
}
