/* Correlation with a large kernel through the frequency domain, one pair of tiles at a time.
 *
 * Two tiles of pixels are the real and the imaginary part of one complex tile: a real kernel treats both alike, so nothing
 * has to be told apart again. Transforms run on eight lines at once, a vector across them, in a line buffer that stays in
 * the first-level cache. Forward transforms decimate in frequency and leave their results in the order of reversed
 * digits; the spectrum of the kernel is in that order, too, and the inverse ones, which decimate in time, take it back:
 * nothing is ever sorted. Source: Oppenheim and Schafer, "Discrete-time signal processing", sections 8.7 and 9.3 f.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__GNUC__) && !defined(__clang__)
#error "GCC or Clang"
#endif

#include "versions.h"

enum { SHORTEST = 8, LONGEST = 1024, NO_SIGN = 0x7fffffff, ALL_ROWS = 0xff, SQUARE = 8 };
#define EACH_VERSION(name, parameters, arguments) VERSIONS(name, parameters, arguments)

/* Pixels whose columns lie side by side. */
struct plane {
    char *data;
    ptrdiff_t rows, columns, step;
};

#define REAL float
#define LANES 8
#define NAME(name) float_##name
#include "transforms.h"
#undef REAL
#undef LANES
#undef NAME

#define REAL double
#define LANES 4
#define NAME(name) double_##name
#include "transforms.h"
#undef REAL
#undef LANES
#undef NAME

INLINE void correlate_tile_body(const struct float_tile *tile, const struct plane pixels[2], const struct plane results[2])
{
    float_correlate_pair(tile, pixels, results, NULL);
}
INLINE void refine_tile_body(const struct double_tile *tile, const struct plane pixels[2], const struct plane results[2],
                             float below)
{
    double_correlate_pair(tile, pixels, results, &below);
}

/* A pair that is watched: first what it holds is seen, then results are held to the limit that follows. */
INLINE void watch_pixels_body(const struct float_tile *tile, const struct plane pixels[2], const struct float_seen *seen)
{
    float_forward_rows(tile, pixels, pixels + 1, NULL, seen, 0);
}
INLINE void watch_squares_body(const struct float_tile *tile, const struct plane pixels[2], const struct float_seen *seen)
{
    float_forward_rows(tile, pixels, pixels + 1, NULL, seen, 1);
}
INLINE void watch_products_body(const struct float_tile *tile, double *energy) { float_filter_columns(tile, energy); }
INLINE void watch_rest_body(const struct float_tile *tile, ptrdiff_t y, float_bits *most) { float_rest_of(tile, y, most); }

VERSIONS(refine_tile,
         (const struct double_tile *tile, const struct plane pixels[2], const struct plane results[2], float below),
         (tile, pixels, results, below))
VERSIONS(watch_pixels, (const struct float_tile *tile, const struct plane pixels[2], const struct float_seen *seen),
         (tile, pixels, seen))
VERSIONS(watch_squares, (const struct float_tile *tile, const struct plane pixels[2], const struct float_seen *seen),
         (tile, pixels, seen))
VERSIONS(watch_products, (const struct float_tile *tile, double *energy), (tile, energy))
VERSIONS(watch_rest, (const struct float_tile *tile, ptrdiff_t y, float_bits *most), (tile, y, most))
VERSIONS(correlate_tile, (const struct float_tile *tile, const struct plane pixels[2], const struct plane results[2]),
         (tile, pixels, results))

#include "promise.h"
#include "module.h"

/* A float32 buffer of two dimensions whose columns lie side by side. NULL, or what is wrong. */
static const char *as_plane(const Py_buffer *buffer, struct plane *plane)
{
    if (buffer->ndim != 2 || strcmp(buffer->format, "f"))
        return "planes are float32 (rows, columns)";
    if (buffer->shape[0] < 1 || buffer->shape[1] < 1 || buffer->shape[0] > INT32_MAX || buffer->shape[1] > INT32_MAX)
        return "an axis is empty or too long";
    if (buffer->strides[1] != sizeof(float) || buffer->strides[0] % (Py_ssize_t)sizeof(float))
        return "the columns of a plane do not lie side by side";
    *plane = (struct plane){buffer->buf, buffer->shape[0], buffer->shape[1], buffer->strides[0]};
    return NULL;
}

/* The rows of a plane from `first` on; the part may be empty. */
static struct plane below(struct plane plane, ptrdiff_t first)
{
    ptrdiff_t rows = plane.rows > first ? plane.rows - first : 0;
    return (struct plane){plane.data + (rows ? first * plane.step : 0), rows, plane.columns, plane.step};
}

/* Columns of a plane from `first` on, `most` at the most. */
static struct plane beside(struct plane plane, ptrdiff_t first, ptrdiff_t most)
{
    ptrdiff_t columns = plane.columns > first ? plane.columns - first : 0;
    plane.data += columns ? first * (ptrdiff_t)sizeof(float) : 0;
    plane.columns = columns < most ? columns : most;
    return plane;
}

enum { PIXELS, KERNEL, MEMORY, RESULTS, TAPS, BUFFERS };

/* A call: tiles of float or, if `fine`, of double; pairs of them yield results of 2 `half` x `wide`. */
struct job {
    Py_buffer buffers[BUFFERS];
    struct plane pixels, results;
    Py_ssize_t rows, columns, half, wide;
    int fine, watched;
    struct watch watch;
    char *settled;
};

/* The turns of a tile of double, and of one of float, if any; the spectrum of the taps for whichever is the last. */
static void transform_kernel(const struct double_tile *tile, const struct plane *taps, const struct float_tile *narrow)
{
    double_find_turns(tile->row_turns, tile->columns);
    double_find_turns(tile->column_turns, tile->rows);
    if (narrow) {
        float_find_turns(narrow->row_turns, tile->columns);
        float_find_turns(narrow->column_turns, tile->rows);
    }
    find_spectrum(tile, taps, narrow ? (float *)narrow->spectrum : NULL);
}

/* The spectrum of the taps, which take the place of pixels; the memory is that of tiles of double. NULL, or what is wrong. */
static const char *transform_taps(struct job *job)
{
    const Py_buffer *kernel = &job->buffers[KERNEL], *memory = &job->buffers[MEMORY];
    Py_buffer none = {.buf = memory->buf, .len = PY_SSIZE_T_MAX};
    struct float_tile narrow;
    struct double_tile tile;
    const char *wrong = as_plane(&job->buffers[PIXELS], &job->pixels);
    if (!wrong && (job->pixels.rows > job->rows || job->pixels.columns > job->columns))
        wrong = "the taps are larger than a tile";
    if (!wrong)
        wrong = double_lay_out(job->fine ? kernel : &none, memory, job->rows, job->columns, &tile);
    if (!wrong && !job->fine) {
        wrong = float_lay_out(kernel, memory, job->rows, job->columns, &narrow);
        tile.column_turns = (struct double_turn *)tile.scratch;
        tile.row_turns = tile.column_turns + job->rows;
    }
    if (!wrong)
        transform_kernel(&tile, &job->pixels, job->fine ? NULL : &narrow);
    return wrong;
}

/* Tables of a kernel, one after the other: taps over squares, if there is a share of them; the taps; sums of the smallest, from none
 * on; and the taps mirrored from left to right in margins of seven zeros. How many values they need. */
static ptrdiff_t find_tables(struct watch *watch, const float *tables)
{
    ptrdiff_t taps = watch->high * watch->wide;
    watch->taps = tables;
    for (int i = 0; watch->share > 0 && i < 2; i++) {
        ptrdiff_t side = SQUARE << i;
        watch->squares[i] = watch->taps;
        watch->taps += (squares_of(watch->high - 1, side) + 1) * (squares_of(watch->wide - 1, side) + 1) * side * side;
    }
    watch->smallest = watch->taps + taps;
    watch->mirrored = watch->smallest + taps + 1;
    return watch->mirrored - tables + (watch->high + 2 * CELL - 2) * (watch->wide + 2 * CELL - 2);
}

/* What is wrong with the sizes of a strip of pairs of tiles, or NULL. */
static const char *check_strip(struct job *job)
{
    const struct watch *watch = &job->watch;
    if (job->half > job->rows || job->wide > job->columns || job->results.rows > 2 * job->half)
        return "the results are larger than pairs of tiles";
    if (!job->watched)
        return NULL;
    if (job->half + watch->high - 1 > job->rows || job->wide + watch->wide - 1 > job->columns)
        return "the results are larger than a tile yields";
    if (job->results.rows + watch->high - 1 > job->pixels.rows || job->results.columns + watch->wide - 1 > job->pixels.columns)
        return "the results are larger than the pixels yield";
    if (job->buffers[TAPS].len < find_tables(&job->watch, job->buffers[TAPS].buf) * (ptrdiff_t)sizeof(float))
        return "there are too few taps";
    return NULL;
}

/* One pair of tiles: whether its results are settled. */
static int filter_pair(const struct job *job, const struct float_tile *tile, const struct double_tile *fine,
                       const struct plane pixels[2], const struct plane results[2])
{
    if (job->fine) {
        refine(fine, pixels, results, &job->watch);
        return 1;
    }
    if (!job->watched) {
        correlate_tile(tile, pixels, results);
        return 1;
    }
    return watch_pair(tile, pixels, results, &job->watch);
}

/* Pairs of tiles side by side. NULL, or what is wrong. */
static const char *filter_pixels(struct job *job)
{
    const Py_buffer *kernel = &job->buffers[KERNEL], *memory = &job->buffers[MEMORY];
    struct float_tile tile = {0};
    struct double_tile fine = {0};
    const char *wrong = as_plane(&job->buffers[PIXELS], &job->pixels);
    wrong = wrong ? wrong : as_plane(&job->buffers[RESULTS], &job->results);
    wrong = wrong ? wrong : check_strip(job);
    if (!wrong)
        wrong = job->fine ? double_lay_out(kernel, memory, job->rows, job->columns, &fine)
                          : float_lay_out(kernel, memory, job->rows, job->columns, &tile);
    if (wrong)
        return wrong;
    struct plane pixels[2] = {job->pixels, below(job->pixels, job->half)};
    struct plane results[2] = {job->results, below(job->results, job->half)};
    results[0].rows = least_of(results[0].rows, job->half);
    Py_BEGIN_ALLOW_THREADS
    char *settled = job->settled;
    for (ptrdiff_t x = 0; x < results->columns; x += job->wide) {
        struct plane from[2] = {beside(pixels[0], x, job->columns), beside(pixels[1], x, job->columns)};
        struct plane to[2] = {beside(results[0], x, job->wide), beside(results[1], x, job->wide)};
        *settled++ = (char)filter_pair(job, &tile, &fine, from, to);
    }
    Py_END_ALLOW_THREADS
    return NULL;
}

/* Whether each pair of a strip is settled. */
static PyObject *as_list(const char *settled, Py_ssize_t pairs)
{
    PyObject *list = PyList_New(pairs);
    for (Py_ssize_t i = 0; list && i < pairs; i++)
        if (PyList_SetItem(list, i, PyBool_FromLong(settled[i])))
            Py_CLEAR(list);
    return list;
}

/* The buffers of a call, checked and used by a function that says what is wrong. */
static PyObject *called(PyObject *const *objects, struct job *job, const char *(*use)(struct job *))
{
    int taps = !objects[RESULTS], ready = 1;
    int flags[BUFFERS] = {PyBUF_RECORDS_RO, taps ? PyBUF_WRITABLE : PyBUF_SIMPLE, PyBUF_WRITABLE, PyBUF_RECORDS,
                          PyBUF_SIMPLE};
    PyObject *result = NULL;
    Py_ssize_t pairs = 0;
    for (int i = 0; i < BUFFERS && ready; i++)
        ready = !objects[i] || !PyObject_GetBuffer(objects[i], &job->buffers[i], flags[i]);
    if (ready && job->buffers[RESULTS].ndim == 2)
        pairs = (job->buffers[RESULTS].shape[1] + job->wide - 1) / job->wide;
    if (ready) {
        job->settled = malloc((size_t)pairs + 1);
        ready = job->settled || PyErr_NoMemory();
    }
    const char *wrong = ready ? use(job) : NULL;
    if (wrong)
        PyErr_SetString(PyExc_ValueError, wrong);
    else if (ready)
        result = as_list(job->settled, pairs);
    free(job->settled);
    for (int i = 0; i < BUFFERS; i++)
        PyBuffer_Release(&job->buffers[i]);
    return result;
}

static PyObject *spectrum(PyObject *module, PyObject *args)
{
    PyObject *objects[BUFFERS] = {NULL};
    struct job job = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOnnp", &objects[PIXELS], &objects[KERNEL], &objects[MEMORY], &job.rows, &job.columns,
                          &job.fine))
        return NULL;
    return called(objects, &job, transform_taps);
}

static PyObject *correlate(PyObject *module, PyObject *args)
{
    PyObject *objects[BUFFERS] = {NULL};
    struct job job = {0};
    struct watch *watch = &job.watch;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOOnn(nn)p|O(ddddddddddd)(dn)(dn)(dd)(nn)", &objects[PIXELS], &objects[KERNEL],
                          &objects[MEMORY], &objects[RESULTS], &job.rows, &job.columns, &job.half, &job.wide, &job.fine,
                          &objects[TAPS], &watch->random, &watch->forward, &watch->backward, &watch->alone,
                          &watch->sum, &watch->norm, &watch->most_result, &watch->tiny, &watch->part, &watch->total, &watch->share,
                          &watch->second.left, &watch->second.few, &watch->every.left, &watch->every.few,
                          &watch->least, &watch->most, &watch->high, &watch->wide))
        return NULL;
    job.watched = objects[TAPS] != NULL;
    if (job.half < 1 || job.wide < 1)
        return PyErr_Format(PyExc_ValueError, "a tile of %zd x %zd results", job.half, job.wide);
    if (job.watched && (watch->high < 1 || watch->wide < 1 || watch->high > LONGEST || watch->wide > LONGEST))
        return PyErr_Format(PyExc_ValueError, "a kernel of %zd x %zd", watch->high, watch->wide);
    if (job.fine && !job.watched)
        return PyErr_Format(PyExc_ValueError, "results in float64 are watched");
    return called(objects, &job, filter_pixels);
}

static PyMethodDef METHODS[] = {
    {"spectrum", spectrum, METH_VARARGS, "spectrum(taps, spectrum, memory, rows, columns, fine)"},
    {"correlate", correlate, METH_VARARGS,
     "correlate(pixels, spectrum, memory, results, rows, columns, (half, wide), fine[, watch]) -> whether pairs are settled"},
    {NULL, NULL, 0, NULL},
};

MODULE(_fourier)
