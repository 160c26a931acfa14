/* Sums of products over the samples of an image in float64, for what float32 cannot round right: 16-bit and 32-bit
 * integers, and images of float64.
 *
 * The image is cut into tiles of columns so narrow that the rows under a kernel stay in the first-level cache: samples
 * are widened once for a tile, into a ring of float64 rows. Sums are kept in registers over all taps, then rounded,
 * clipped, counted and written in the target's own type. Every output adds its taps in the same order, however the image
 * is cut. Interleaved colour is rows of `step` samples per pixel, as in direct.c.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "axis.h"

#ifndef __GNUC__
#error "needs the vector types of GCC or Clang; convcli works without this module"
#endif

enum {
    LANES = 4,        /* doubles in a vector: a register of AVX2, two of the baseline */
    ABREAST = 8,      /* vectors of a block: sums that are added to independently */
    RING = 3 * 1024,  /* doubles of input rows in use at a time: most of a first-level cache */
    LINE = 8,         /* doubles of a line of the cache: rows begin with one */
    NARROWEST = 128,  /* columns of a tile: fewer cost more calls than they save */
};

struct counts {
    long long below, above, nan;
};

/* The nearest integer to a double below 2^51, half to even: 1.5 * 2^52 leaves no room for a fraction. */
static inline double nearest(double value) { return (value + 6755399441055744.0) - 6755399441055744.0; }

/* name, C type, letter in the buffer protocol, how a double becomes one, lowest and highest number, and the numbers
 * between which nothing is clipped: half a step below the lowest (even) is still rounded up, half a step above the
 * highest (odd) is not. */
#define SAMPLES(X) \
    X(uint8, uint8_t, 'B', nearest, 0.0, 255.0, 0.5) \
    X(int8, int8_t, 'b', nearest, -128.0, 127.0, 0.5) \
    X(uint16, uint16_t, 'H', nearest, 0.0, 65535.0, 0.5) \
    X(int16, int16_t, 'h', nearest, -32768.0, 32767.0, 0.5) \
    X(uint32, uint32_t, 'I', nearest, 0.0, 4294967295.0, 0.5) \
    X(int32, int32_t, 'i', nearest, -2147483648.0, 2147483647.0, 0.5) \
    X(float32, float, 'f', , -FLT_MAX, FLT_MAX, INFINITY) \
    X(float64, double, 'd', , -DBL_MAX, DBL_MAX, INFINITY)

enum { KINDS = 8 };
static const struct {
    char format;
    Py_ssize_t size;
} TYPES[KINDS] = {
#define TYPE(name, type, format, ...) {format, sizeof(type)},
    SAMPLES(TYPE)
#undef TYPE
};

/* One tap: its row among those that an output row reads, where it reads in that row, and its value. */
struct tap {
    ptrdiff_t row, offset;
    double value;
};

/* What wide.h makes for an instruction set. */
struct kernels {
    void (*sum)(const struct tap *taps, ptrdiff_t count, const double *const *rows, double *sums, ptrdiff_t columns);
    void (*widen[KINDS])(double *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step, ptrdiff_t count);
    void (*narrow[KINDS])(char *to, ptrdiff_t to_step, double *values, ptrdiff_t count, struct counts *counts);
};

#define TARGET
#define NAME(name) name##_baseline
#include "wide.h"
#undef TARGET
#undef NAME

#ifdef __x86_64__
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(name) name##_avx2
#include "wide.h"
#undef TARGET
#undef NAME
#endif

/* Planes, rows and columns of samples; steps in bytes. */
struct samples {
    char *data;
    int type;
    ptrdiff_t planes, rows, columns, plane_step, row_step, column_step;
};

struct job {
    struct samples source, target;
    const double *values; /* (planes, high, wide) */
    ptrdiff_t planes, high, wide;
    struct axis y, x;
    ptrdiff_t step; /* samples per pixel */
    double scale, bias;

    const struct kernels *kernels;
    ptrdiff_t tile;        /* columns computed from one ring at most */
    ptrdiff_t depth;       /* rows of each plane in the ring */
    ptrdiff_t phase, slot; /* doubles of a ring's row: of each phase of a stride along x, and of all */
    ptrdiff_t count;       /* of taps that are not zero */
    struct tap *taps;
    double *ring, *sums;
    const double **rows;
};

/* Decide how the work is cut. */
static void lay_out(struct job *job)
{
    ptrdiff_t reach = (job->wide - 1) * job->x.dilation, stride = job->x.stride;
    job->depth = (job->high - 1) * job->y.dilation + 1;
    job->tile = smaller(job->target.columns, larger(NARROWEST, RING / (job->planes * job->depth) - reach * job->step));
    job->tile = larger(job->tile / job->step, 1) * job->step;
    job->phase = parts(job->tile + (reach / stride + 1) * job->step, LINE) * LINE;
    job->slot = smaller(stride, reach + 1) * job->phase;
#ifdef __x86_64__
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    job->kernels = avx2 ? &kernels_avx2 : &kernels_baseline;
#else
    job->kernels = &kernels_baseline;
#endif
}

/* The taps that are not zero, in the order of planes, rows and columns. */
static void list_taps(struct job *job)
{
    struct tap *tap = job->taps;
    for (ptrdiff_t row = 0; row < job->planes * job->high; row++)
        for (ptrdiff_t column = 0; column < job->wide; column++) {
            ptrdiff_t pixel = column * job->x.dilation, stride = job->x.stride;
            double value = job->values[row * job->wide + column];
            if (value != 0)
                *tap++ = (struct tap){row, pixel % stride * job->phase + pixel / stride * job->step, value};
        }
    job->count = tap - job->taps;
}

/* Widen what a tile reads of one source row into its slot. With a stride along x each phase of pixels is laid out on its
 * own, so that what a column of taps reads is contiguous again. */
static void fill_slot(const struct job *job, ptrdiff_t plane, ptrdiff_t row, ptrdiff_t tile, ptrdiff_t columns)
{
    const struct samples *source = &job->source;
    ptrdiff_t stride = job->x.stride, step = job->step, reach = (job->wide - 1) * job->x.dilation;
    ptrdiff_t last = (columns / step - 1) * stride + reach; /* in pixels from the tile's first on */
    const char *from = source->data + plane * source->plane_step + row * source->row_step;
    double *to = job->ring + (plane * job->depth + row % job->depth) * job->slot;
    if (stride == 1) {
        job->kernels->widen[source->type](to, 1, from + tile * source->column_step, source->column_step, (last + 1) * step);
        return;
    }
    for (ptrdiff_t p = 0; p < stride && p <= reach; p++)
        for (ptrdiff_t s = 0; s < step; s++)
            job->kernels->widen[source->type](to + p * job->phase + s, step,
                                      from + (tile * stride + p * step + s) * source->column_step,
                                      stride * step * source->column_step, (last - p) / stride + 1);
}

/* Point to the rows that the outputs of a row read in each plane. */
static void find_rows(const struct job *job, ptrdiff_t row)
{
    const double **to = job->rows;
    for (ptrdiff_t plane = 0; plane < job->planes; plane++)
        for (ptrdiff_t i = 0; i < job->high; i++) {
            ptrdiff_t at = row * job->y.stride + i * job->y.dilation;
            *to++ = job->ring + (plane * job->depth + at % job->depth) * job->slot;
        }
}

static void run_tile(const struct job *job, ptrdiff_t tile, ptrdiff_t columns, struct counts *counts)
{
    const struct samples *target = &job->target;
    ptrdiff_t filled = 0;
    for (ptrdiff_t row = 0; row < target->rows; row++) {
        ptrdiff_t first = row * job->y.stride;
        for (filled = larger(filled, first); filled < first + job->depth; filled++)
            for (ptrdiff_t plane = 0; plane < job->planes; plane++)
                fill_slot(job, plane, filled, tile, columns);
        find_rows(job, row);
        job->kernels->sum(job->taps, job->count, job->rows, job->sums, columns);
        if (job->scale != 1 || job->bias != 0)
            for (ptrdiff_t i = 0; i < columns; i++)
                job->sums[i] = job->sums[i] * job->scale + job->bias;
        job->kernels->narrow[target->type](target->data + row * target->row_step + tile * target->column_step,
                                   target->column_step, job->sums, columns, counts);
    }
}

/* Find memory, run, give it back. False without memory. */
static int run(struct job *job, struct counts *counts)
{
    ptrdiff_t total = job->planes * job->high * job->wide, rows = job->planes * job->high;
    job->taps = malloc((size_t)total * sizeof *job->taps);
    job->rows = malloc((size_t)rows * sizeof *job->rows);
    job->sums = malloc((size_t)job->tile * sizeof *job->sums);
    job->ring = aligned_alloc(LINE * sizeof *job->ring, (size_t)(job->planes * job->depth * job->slot) * sizeof *job->ring);
    int there = job->taps && job->rows && job->sums && job->ring;
    if (there) {
        list_taps(job);
        for (ptrdiff_t tile = 0; tile < job->target.columns; tile += job->tile)
            run_tile(job, tile, smaller(job->tile, job->target.columns - tile), counts);
    }
    free(job->taps), free(job->rows), free(job->sums), free(job->ring);
    return there;
}

/* A buffer as planes, rows and columns of samples. NULL, or what is wrong. */
static const char *as_samples(const Py_buffer *buffer, int ndim, struct samples *samples)
{
    const char *format = buffer->format ? buffer->format : "B";
    format += format[0] == '='; /* how NumPy marks samples at odd addresses */
    int type = 0;
    while (type < KINDS && (format[0] != TYPES[type].format || buffer->itemsize != TYPES[type].size))
        type++;
    if (type == KINDS || format[1] || buffer->ndim != ndim)
        return "the source has 3 dimensions, the target 2, of integers of up to 32 bits, float32 or float64";
    for (int i = 0; i < ndim; i++)
        if (buffer->shape[i] > INT32_MAX) /* keeps every product of two sizes inside 64 bits */
            return "an axis is longer than 2147483647";
    const Py_ssize_t *shape = buffer->shape + ndim - 2, *steps = buffer->strides + ndim - 2;
    *samples = (struct samples){buffer->buf, type, 1, shape[0], shape[1], 0, steps[0], steps[1]};
    if (ndim == 3)
        samples->planes = buffer->shape[0], samples->plane_step = buffer->strides[0];
    return NULL;
}

enum { SOURCE, TAPS, TARGET, BUFFERS };

/* Make a job of what Python handed in: nothing outside the buffers may be read or written, whatever the caller says.
 * NULL, or what is wrong. */
static const char *understand(const Py_buffer *buffers, struct job *job)
{
    const Py_buffer *taps = &buffers[TAPS];
    const struct samples *source = &job->source, *target = &job->target;
    const char *wrong;
    if ((wrong = as_samples(&buffers[SOURCE], 3, &job->source)) || (wrong = as_samples(&buffers[TARGET], 2, &job->target)))
        return wrong;
    if (taps->ndim != 3 || strcmp(taps->format, "d") || !taps->len)
        return "taps are float64 (planes, rows, columns)";
    job->values = taps->buf, job->planes = taps->shape[0], job->high = taps->shape[1], job->wide = taps->shape[2];
    if (source->planes != job->planes)
        return "the taps do not belong to the planes of the source";
    if (job->step < 1 || source->columns % job->step || target->columns % job->step)
        return "the columns are no multiple of step";
    if (!fits(target->rows, job->high, &job->y, source->rows) ||
        !fits(target->columns / job->step, job->wide, &job->x, source->columns / job->step))
        return "the target reads beyond the source";
    return NULL;
}

static PyObject *correlate(PyObject *module, PyObject *args)
{
    static const int flags[] = {PyBUF_RECORDS_RO, PyBUF_ND | PyBUF_FORMAT, PyBUF_RECORDS};
    PyObject *objects[BUFFERS];
    Py_buffer buffers[BUFFERS] = {{0}};
    struct job job = {0};
    struct counts counts = {0};
    int done = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOO(nn)(nn)ndd", &objects[SOURCE], &objects[TAPS], &objects[TARGET], &job.y.stride,
                          &job.x.stride, &job.y.dilation, &job.x.dilation, &job.step, &job.scale, &job.bias))
        return NULL;
    for (int i = 0; i < BUFFERS; i++)
        if (PyObject_GetBuffer(objects[i], &buffers[i], flags[i]))
            goto release;
    const char *wrong = understand(buffers, &job);
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, wrong);
        goto release;
    }
    lay_out(&job);
    Py_BEGIN_ALLOW_THREADS
    done = run(&job, &counts);
    Py_END_ALLOW_THREADS
    if (!done)
        PyErr_NoMemory();
release:
    for (int i = 0; i < BUFFERS; i++)
        PyBuffer_Release(&buffers[i]);
    return done ? Py_BuildValue("LLL", counts.below, counts.above, counts.nan) : NULL;
}

static PyMethodDef METHODS[] = {
    {"correlate", correlate, METH_VARARGS,
     "correlate(source, taps, target, stride, dilation, step, scale, bias) -> (below, above, nan)"},
    {NULL, NULL, 0, NULL},
};

PyMODINIT_FUNC PyInit__wide(void)
{
    static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_wide", .m_methods = METHODS};
    return PyModuleDef_Init(&definition);
}
