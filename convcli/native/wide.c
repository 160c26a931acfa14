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

#if !defined(__GNUC__) && !defined(__clang__)
#error "needs the vector types of GCC or Clang; convcli works without this module"
#endif

enum {
    TALL = 4,         /* rows of a block that share the pixels that they read, */
    THREE = 3,        /* and vectors in each: twelve sums, three pixels and a tap are sixteen registers */
    ABREAST = 8,      /* vectors of a block: sums that are added to independently */
    RING = 3 * 1024,  /* doubles of input rows in use at a time: most of a first-level cache */
    LINE = 8,         /* doubles of a line of the cache: rows begin with one */
    SHORTEST = 16,    /* rows of a part */
    NARROWEST = 128,  /* columns of a tile: fewer cost more calls than they save */
    WIDEST = 24,      /* doubles of the widest block: three vectors of AVX-512 */
};

struct counts {
    long long below, above, nan;
};

/* name, C type, letter in the buffer protocol, lowest and highest number, and whether it is an integer. */
#define SAMPLES(X) \
    X(uint8, uint8_t, 'B', 0.0, 255.0, 1) \
    X(int8, int8_t, 'b', -128.0, 127.0, 1) \
    X(uint16, uint16_t, 'H', 0.0, 65535.0, 1) \
    X(int16, int16_t, 'h', -32768.0, 32767.0, 1) \
    X(uint32, uint32_t, 'I', 0.0, 4294967295.0, 1) \
    X(int32, int32_t, 'i', -2147483648.0, 2147483647.0, 1) \
    X(float32, float, 'f', -FLT_MAX, FLT_MAX, 0) \
    X(float64, double, 'd', -DBL_MAX, DBL_MAX, 0)

#define SUM double

#include "lines.h"
#include "window.h"

/* One tap: its row among those that an output row reads, where it reads in that row, and its value. */
struct tap {
    ptrdiff_t row, offset;
    double value;
};

/* Taps none of which is zero: (planes, high, wide), and where each of a row reads. */
struct rectangle {
    const double *values;
    ptrdiff_t planes, high, wide, *offsets;
};

/* What wide.h makes for an instruction set. */
struct kernels {
    void (*sum)(const struct tap *taps, ptrdiff_t count, const double *const *rows, double *sums, ptrdiff_t columns);
    void (*sum_tall)(const struct rectangle *taps, const double *const *rows, double *sums, ptrdiff_t apart, ptrdiff_t columns);
    convert *widen[KINDS];
    void (*narrow[KINDS])(char *to, ptrdiff_t to_step, void *values, ptrdiff_t count, struct counts *counts);
};

#define LOOPS "wide.h"
#define WITH_AVX512
#include "instructions.h"

struct job {
    struct window window;
    struct samples target;
    struct team team;
    struct counts counts;
    const double *values; /* (filters, channels, deep, high, wide) */
    ptrdiff_t channels, planes, deep, high, wide; /* planes: deep of each channel */
    double scale, bias;

    const struct kernels *kernels;
    ptrdiff_t tile;        /* columns computed from one ring at most */
    ptrdiff_t depth, kept; /* rows of each plane that an output reads, and in the ring */
    struct rectangle full;
    ptrdiff_t phase, slot; /* doubles of a ring's row: of each phase of a stride along x, and of all */
    ptrdiff_t count;       /* of taps that are not zero */
    struct tap *taps;
    double *ring, *sums;
    const double **rows;
};

/* Decide how the work is cut. */
static void lay_out(struct job *job)
{
    const struct axis *x = &job->window.x;
    ptrdiff_t reach = (job->wide - 1) * x->dilation, step = job->window.step;
    job->depth = (job->high - 1) * job->window.y.dilation + 1;
    job->kept = job->depth + (job->window.y.stride == 1 && job->window.y.dilation == 1 && job->high >= TALL ? TALL - 1 : 0);
    job->tile = smaller(job->target.columns, larger(NARROWEST, RING / (job->planes * job->kept) - reach * step));
    job->tile = larger(job->tile / step, 1) * step;
    job->phase = parts(job->tile + (reach / x->stride + 1) * step, LINE) * LINE;
    job->slot = smaller(x->stride, reach + 1) * job->phase;
    job->kernels = INSTRUCTIONS[supported() - 1].kernels;
}

/* The taps that are not zero, in the order of planes, rows and columns. */
static void list_taps(struct job *job)
{
    struct tap *tap = job->taps;
    for (ptrdiff_t row = 0; row < job->planes * job->high; row++)
        for (ptrdiff_t column = 0; column < job->wide; column++) {
            ptrdiff_t pixel = column * job->window.x.dilation, stride = job->window.x.stride;
            double value = job->values[row * job->wide + column];
            job->full.offsets[column] = pixel % stride * job->phase + pixel / stride * job->window.step;
            if (value != 0)
                *tap++ = (struct tap){row, job->full.offsets[column], value};
        }
    job->count = tap - job->taps;
    job->full = (struct rectangle){job->values, job->planes, job->high, job->wide, job->full.offsets};
}

/* Widen what a tile reads of one row of the window into its slot. With a stride along x each phase of pixels is laid out
 * on its own, so that what a column of taps reads is contiguous again. */
static void fill_slot(const struct job *job, ptrdiff_t plane, ptrdiff_t slice, ptrdiff_t row, ptrdiff_t tile, ptrdiff_t columns)
{
    const struct window *window = &job->window;
    ptrdiff_t stride = window->x.stride, step = window->step, reach = (job->wide - 1) * window->x.dilation;
    ptrdiff_t first = tile / step * stride, last = (columns / step - 1) * stride + reach, size = sizeof(double);
    ptrdiff_t under = slice * window->z.stride + plane % job->deep * window->z.dilation;
    char *to = (char *)(job->ring + (plane * job->kept + row % job->kept) * job->slot);
    convert *widen = job->kernels->widen[window->source.type];
    const SUM *filler;
    const char *from = find_row(window, plane / job->deep, under, row, &filler);
    if (stride == 1) {
        read_row(window, widen, to, size, from, filler, first, 1, 0, step, last + 1);
        return;
    }
    for (ptrdiff_t p = 0; p < stride && p <= reach; p++)
        for (ptrdiff_t s = 0; s < step; s++)
            read_row(window, widen, to + (p * job->phase + s) * size, step * size, from, filler, first + p, stride, s, 1,
                     (last - p) / stride + 1);
}

/* Point to the rows that the outputs of `tall` rows read in each plane. */
static void find_rows(const struct job *job, ptrdiff_t row, ptrdiff_t tall)
{
    const double **to = job->rows;
    for (ptrdiff_t plane = 0; plane < job->planes; plane++)
        for (ptrdiff_t i = 0; i < job->high + tall - 1; i++) {
            ptrdiff_t at = row * job->window.y.stride + i * job->window.y.dilation;
            *to++ = job->ring + (plane * job->kept + at % job->kept) * job->slot;
        }
}

/* A row of results from its sums. */
static void put(const struct job *job, ptrdiff_t slice, ptrdiff_t row, ptrdiff_t tile, double *sums, ptrdiff_t columns,
                struct counts *counts)
{
    const struct samples *target = &job->target;
    if (job->scale != 1 || job->bias != 0)
        for (ptrdiff_t i = 0; i < columns; i++)
            sums[i] = sums[i] * job->scale + job->bias;
    job->kernels->narrow[target->type](target->data + slice * target->slice_step + row * target->row_step +
                                           tile * target->column_step,
                                       target->column_step, sums, columns, counts);
}

static void run_tile(const struct job *job, ptrdiff_t slice, ptrdiff_t tile, ptrdiff_t columns, struct counts *counts)
{
    ptrdiff_t filled = 0, rows = job->target.rows, total = job->planes * job->high * job->wide, tall;
    int shares = job->kept > job->depth && job->count == total && columns >= WIDEST;
    for (ptrdiff_t row = 0; row < rows; row += tall) {
        ptrdiff_t first = row * job->window.y.stride;
        tall = shares && row + TALL <= rows ? TALL : 1;
        for (filled = larger(filled, first); filled < first + job->depth + tall - 1; filled++)
            for (ptrdiff_t plane = 0; plane < job->planes; plane++)
                fill_slot(job, plane, slice, filled, tile, columns);
        find_rows(job, row, tall);
        if (tall > 1)
            job->kernels->sum_tall(&job->full, job->rows, job->sums, job->tile, columns);
        else
            job->kernels->sum(job->taps, job->count, job->rows, job->sums, columns);
        for (ptrdiff_t t = 0; t < tall; t++)
            put(job, slice, row + t, tile, job->sums + t * job->tile, columns, counts);
    }
}

/* Find memory, run, give it back. -1 without memory. */
static int run(struct job *job)
{
    lay_out(job);
    ptrdiff_t total = job->planes * job->high * job->wide, rows = job->planes * (job->high + TALL - 1);
    job->taps = malloc((size_t)total * sizeof *job->taps);
    job->rows = malloc((size_t)rows * sizeof *job->rows);
    job->sums = malloc((size_t)(TALL * job->tile) * sizeof *job->sums);
    job->full.offsets = malloc((size_t)job->wide * sizeof *job->full.offsets);
    job->ring = take_lines((size_t)(job->planes * job->kept * job->slot) * sizeof *job->ring);
    int there = job->taps && job->rows && job->sums && job->full.offsets && job->ring;
    ptrdiff_t grain = job->target.slices > 1 ? 1 : SHORTEST;
    for (struct part part; there && take_part(&job->team, &job->target, job->target.channels, grain, &part);) {
        struct job one = *job;
        pick_filter(&one.window, &one.target, job->channels, part.group);
        cut_part(&one.window, &one.target, &part);
        one.values += part.group * total;
        list_taps(&one);
        for (ptrdiff_t tile = 0; tile < one.target.columns; tile += one.tile)
            for (ptrdiff_t slice = 0; slice < one.target.slices; slice++)
                run_tile(&one, slice, tile, smaller(one.tile, one.target.columns - tile), &job->counts);
    }
    free(job->taps), free(job->rows), free(job->sums), free(job->full.offsets), give_lines(job->ring);
    return there ? 0 : -1;
}

/* Make a job of what Python handed in. NULL, or what is wrong. */
static const char *understand(const Py_buffer *buffers, struct job *job)
{
    const Py_buffer *taps = &buffers[TAPS];
    if (!is_taps(taps, 5))
        return "taps are float64 (filters, channels, slices, rows, columns)";
    job->values = taps->buf, job->channels = taps->shape[1], job->deep = taps->shape[2];
    job->planes = job->channels * job->deep, job->high = taps->shape[3], job->wide = taps->shape[4];
    return objection(&job->window, &job->target, taps->shape);
}

#include "call.h"
#include "module.h"

static PyObject *correlate(PyObject *module, PyObject *args)
{
    PyObject *objects[READS] = {[COLUMNS] = Py_None}, *axes;
    struct job job = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOOO!ndd", &objects[SOURCE], &objects[TAPS], &objects[TARGET], &objects[TEAM],
                          &PyTuple_Type, &axes, &job.window.step, &job.scale, &job.bias))
        return NULL;
    int failed = carry_out(objects, axes, &job);
    return failed ? NULL : Py_BuildValue("LLL", job.counts.below, job.counts.above, job.counts.nan);
}

static PyMethodDef METHODS[] = {
    {"correlate", correlate, METH_VARARGS,
     "correlate(source, taps, target, team, axes, step, scale, bias) -> (below, above, nan)"},
    {NULL, NULL, 0, NULL},
};

MODULE(_wide)
