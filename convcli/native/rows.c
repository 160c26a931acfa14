/* Rows of a PNG: bytes as what their neighbours leave open, and back. Of each pixel, the byte at the same place of the
 * pixel to the left, above, and at the corner between them foretell it, in one of five ways for each row.
 *
 * Source: the PNG specification, third edition, chapter 9.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__GNUC__) && !defined(__clang__)
#error "GCC or Clang; convcli works without this module"
#endif

#include "versions.h"
#include "module.h"

enum { NONE, SUB, UP, AVERAGE, PAETH, KINDS, BEST = -1, LARGEST = 8 };

/* Of left, above and corner, the one nearest to left + above - corner; of equals the first. */
static inline __attribute__((always_inline)) uint8_t paeth(uint8_t left, uint8_t above, uint8_t corner)
{
    int16_t down = (int16_t)(above - corner), along = (int16_t)(left - corner), both = (int16_t)(down + along);
    int16_t from_left = down < 0 ? -down : down, from_above = along < 0 ? -along : along;
    int16_t from_corner = both < 0 ? -both : both;
    uint8_t other = from_above <= from_corner ? above : corner;
    return ((from_left <= from_above) & (from_left <= from_corner)) ? left : other;
}

static inline __attribute__((always_inline)) uint8_t foretold(int kind, uint8_t left, uint8_t above, uint8_t corner)
{
    return kind == SUB       ? left
           : kind == UP      ? above
           : kind == AVERAGE ? (uint8_t)((left + above) >> 1)
           : kind == PAETH   ? paeth(left, above, corner)
                             : 0;
}

/* What a kind of prediction leaves of a row of `size` bytes, `pixel` of them each pixel. */
INLINE void differ(int kind, const uint8_t *row, const uint8_t *above, ptrdiff_t size, ptrdiff_t pixel, uint8_t *target)
{
    for (ptrdiff_t i = 0; i < pixel; i++)
        target[i] = (uint8_t)(row[i] - foretold(kind, 0, above[i], 0));
    for (ptrdiff_t i = pixel; i < size; i++)
        target[i] = (uint8_t)(row[i] - foretold(kind, row[i - pixel], above[i], above[i - pixel]));
}

/* The sum of what it leaves, as numbers from -128 to 127 without their signs. */
INLINE uint64_t weigh(int kind, const uint8_t *row, const uint8_t *above, ptrdiff_t size, ptrdiff_t pixel)
{
    uint64_t sum = 0;
    for (ptrdiff_t i = 0; i < pixel; i++) {
        int8_t left = (int8_t)(row[i] - foretold(kind, 0, above[i], 0));
        sum += (uint8_t)(left < 0 ? -left : left);
    }
    for (ptrdiff_t start = pixel; start < size; start += 4096) {
        ptrdiff_t stop = size - start > 4096 ? start + 4096 : size;
        uint32_t part = 0;
        for (ptrdiff_t i = start; i < stop; i++) {
            int8_t left = (int8_t)(row[i] - foretold(kind, row[i - pixel], above[i], above[i - pixel]));
            part += (uint8_t)(left < 0 ? -left : left);
        }
        sum += part;
    }
    return sum;
}

/* The prediction that leaves least; of equals the first. */
INLINE int best(const uint8_t *row, const uint8_t *above, ptrdiff_t size, ptrdiff_t pixel)
{
    uint64_t sums[KINDS] = {
        weigh(NONE, row, above, size, pixel),    weigh(SUB, row, above, size, pixel),
        weigh(UP, row, above, size, pixel),      weigh(AVERAGE, row, above, size, pixel),
        weigh(PAETH, row, above, size, pixel),
    };
    int found = 0;
    for (int kind = 1; kind < KINDS; kind++)
        found = sums[kind] < sums[found] ? kind : found;
    return found;
}

/* Rows of `size` bytes become rows of one more, which tells the kind; `above` is the row before the first. */
INLINE void predict_all_body(const uint8_t *rows, const uint8_t *above, ptrdiff_t count, ptrdiff_t size,
                             ptrdiff_t pixel, int wanted, uint8_t *target)
{
    for (ptrdiff_t y = 0; y < count; y++, above = rows, rows += size) {
        int kind = wanted == BEST ? best(rows, above, size, pixel) : wanted;
        *target++ = (uint8_t)kind;
        if (kind == SUB)
            differ(SUB, rows, above, size, pixel, target);
        else if (kind == UP)
            differ(UP, rows, above, size, pixel, target);
        else if (kind == AVERAGE)
            differ(AVERAGE, rows, above, size, pixel, target);
        else if (kind == PAETH)
            differ(PAETH, rows, above, size, pixel, target);
        else
            memcpy(target, rows, (size_t)size);
        target += size;
    }
}
VERSIONS(predict_all,
         (const uint8_t *rows, const uint8_t *above, ptrdiff_t count, ptrdiff_t size, ptrdiff_t pixel, int wanted,
          uint8_t *target),
         (rows, above, count, size, pixel, wanted, target))

/* A row from what a prediction left of it; the pixel's size is a constant where this is called with one. */
INLINE void add(int kind, const uint8_t *left_over, const uint8_t *above, ptrdiff_t size, ptrdiff_t pixel, uint8_t *row)
{
    uint8_t left[LARGEST] = {0}, corner[LARGEST] = {0};
    for (ptrdiff_t i = 0; i < size; i += pixel)
        for (ptrdiff_t part = 0; part < pixel; part++) {
            uint8_t up = above[i + part];
            left[part] = (uint8_t)(left_over[i + part] + foretold(kind, left[part], up, corner[part]));
            corner[part] = up;
            row[i + part] = left[part];
        }
}

typedef uint8_t narrow __attribute__((vector_size(LARGEST)));
typedef int16_t wide __attribute__((vector_size(2 * LARGEST)));

static inline __attribute__((always_inline)) wide load(const uint8_t *from, ptrdiff_t pixel)
{
    uint64_t word = 0;
    for (ptrdiff_t part = 0; part < pixel; part++)
        word |= (uint64_t)from[part] << 8 * part;
    narrow bytes = (narrow)word;
    return __builtin_convertvector(bytes, wide);
}

static inline __attribute__((always_inline)) wide magnitude(wide values)
{
    wide signs = values >> 15;
    return (values ^ signs) - signs;
}

static inline __attribute__((always_inline)) wide choose(wide where, wide yes, wide no)
{
    return (where & yes) | (~where & no);
}

/* The same for PAETH, all bytes of a pixel at once: each waits for the one to the left. */
INLINE void add_paeth(const uint8_t *left_over, const uint8_t *above, ptrdiff_t size, ptrdiff_t pixel, uint8_t *row)
{
    wide left = {0}, corner = {0};
    for (ptrdiff_t i = 0; i < size; i += pixel) {
        wide up = load(above + i, pixel), down = up - corner, along = left - corner;
        wide from_left = magnitude(down), from_above = magnitude(along), from_corner = magnitude(down + along);
        wide other = choose(from_above <= from_corner, up, corner);
        wide nearest = choose((from_left <= from_above) & (from_left <= from_corner), left, other);
        left = (load(left_over + i, pixel) + nearest) & 255;
        corner = up;
        narrow bytes = __builtin_convertvector(left, narrow);
        uint64_t word = (uint64_t)bytes;
        for (ptrdiff_t part = 0; part < pixel; part++)
            row[i + part] = (uint8_t)(word >> 8 * part);
    }
}

/* The same for any kind; false for a kind that is not known. */
INLINE int add_any(int kind, const uint8_t *left_over, const uint8_t *above, ptrdiff_t size, ptrdiff_t pixel,
                   uint8_t *row)
{
    if (kind == NONE)
        memcpy(row, left_over, (size_t)size);
    else if (kind == SUB)
        add(SUB, left_over, above, size, pixel, row);
    else if (kind == UP)
        for (ptrdiff_t i = 0; i < size; i++)
            row[i] = (uint8_t)(left_over[i] + above[i]);
    else if (kind == AVERAGE)
        add(AVERAGE, left_over, above, size, pixel, row);
    else if (kind == PAETH)
        add_paeth(left_over, above, size, pixel, row);
    return kind < KINDS;
}

/* Rows from what was left of them, until one tells of no known kind; how many. */
static ptrdiff_t restore_all(const uint8_t *from, const uint8_t *above, ptrdiff_t count, ptrdiff_t size,
                             ptrdiff_t pixel, uint8_t *row)
{
    ptrdiff_t y = 0;
#define ROWS(pixel) \
    for (; y < count && add_any(*from, from + 1, above, size, pixel, row); y++) \
        from += size + 1, above = row, row += size;
    if (pixel == 1) {
        ROWS(1)
    } else if (pixel == 2) {
        ROWS(2)
    } else if (pixel == 3) {
        ROWS(3)
    } else if (pixel == 4) {
        ROWS(4)
    } else if (pixel == 6) {
        ROWS(6)
    } else if (pixel == 8) {
        ROWS(8)
    }
#undef ROWS
    return y;
}

/* How many rows there are, if buffers of `plain` and `told` bytes hold as many, and those fit `above`; else 0. */
static ptrdiff_t fitting(const Py_buffer *plain, const Py_buffer *told, const Py_buffer *above, Py_ssize_t pixel)
{
    Py_ssize_t size = above->len, count = size ? plain->len / size : 0;
    int known = pixel == 1 || pixel == 2 || pixel == 3 || pixel == 4 || pixel == 6 || pixel == 8;
    int fits = known && count && size % pixel == 0 && plain->len == count * size && told->len == plain->len + count;
    if (!fits)
        PyErr_SetString(PyExc_ValueError, "rows, their predictions and the row above do not fit each other");
    return fits ? count : 0;
}

static PyObject *predict(PyObject *module, PyObject *args)
{
    PyObject *result = NULL;
    Py_buffer rows = {0}, above = {0}, target = {0};
    Py_ssize_t pixel, count;
    int kind;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*niw*", &rows, &above, &pixel, &kind, &target))
        return NULL;
    if (kind < BEST || kind >= KINDS)
        PyErr_Format(PyExc_ValueError, "no kind of prediction is numbered %d", kind);
    else if ((count = fitting(&rows, &target, &above, pixel))) {
        Py_BEGIN_ALLOW_THREADS
        predict_all(rows.buf, above.buf, count, above.len, pixel, kind, target.buf);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    PyBuffer_Release(&rows);
    PyBuffer_Release(&above);
    PyBuffer_Release(&target);
    return result;
}

static PyObject *restore(PyObject *module, PyObject *args)
{
    PyObject *result = NULL;
    Py_buffer from = {0}, above = {0}, rows = {0};
    Py_ssize_t pixel, count;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*nw*", &from, &above, &pixel, &rows))
        return NULL;
    if ((count = fitting(&rows, &from, &above, pixel))) {
        ptrdiff_t restored;
        Py_BEGIN_ALLOW_THREADS
        restored = restore_all(from.buf, above.buf, count, above.len, pixel, rows.buf);
        Py_END_ALLOW_THREADS
        result = PyBool_FromLong(restored == count);
    }
    PyBuffer_Release(&from);
    PyBuffer_Release(&above);
    PyBuffer_Release(&rows);
    return result;
}

static PyMethodDef METHODS[] = {
    {"predict", predict, METH_VARARGS, "predict(rows, above, bytes of a pixel, kind or -1 for the best, target)"},
    {"restore", restore, METH_VARARGS, "restore(predicted, above, bytes of a pixel, rows) -> whether kinds are known"},
    {NULL, NULL, 0, NULL},
};

MODULE(_rows)
