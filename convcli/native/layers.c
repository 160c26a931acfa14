/* Winograd's minimal filtering down the columns for filter banks: two rows of outputs with fewer products, at any stride.
 *
 * At a stride of s, kernel rows that lie s apart meet input rows that do: each such phase is a convolution at stride 1 down
 * the columns. Its kernel rows are taken in threes. Two outputs y and z, one below the other, read four rows of a three a, b,
 * c and need four products instead of six, of a two three instead of four:
 *     y = (d0 - d2) a + (d1 + d2) (a + b + c)/2 + (d2 - d1) (a - b + c)/2        y = (d0 - d1) a + d1 (a + b)
 *     z = (d1 + d2) (a + b + c)/2 - (d2 - d1) (a - b + c)/2 - (d1 - d3) c        z = d1 (a + b) - (d1 - d2) b
 * So a block of outputs is four sums of products over sums and differences of rows: one that both rows of outputs share, one
 * that they share with opposite signs, and one of each. Rows are mixed once for all filters. No output depends on a pixel
 * outside of its footprint.
 * Source: Winograd, "Arithmetic complexity of computations", 1980.
 *
 * window.h checks what Python hands in, and knows what stands beyond the image; the loops over samples are in layers.h.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__GNUC__) && !defined(__clang__)
#error "needs the vector types of GCC or Clang; convcli works without this module"
#endif

enum {
    TOGETHER = 4,       /* filters of a block, */
    ABREAST = 3,        /* and vectors of each: twelve sums, three pixels and a tap are sixteen registers */
    SHORTEST = 8,       /* rows of a part, pairs of them */
    LINE = 16,          /* floats of a line of the cache */
    BANDS = 128 * 1024, /* floats of bands that are in use at a time: a second-level cache */
    MOST_TAPS = 65536,  /* of a filter, */
    MOST_STEPS = 64,    /* and steps of a stride or a dilation: the memory for bands stays a number */
};

#define SAMPLES(X) X(float32, float, 'f')
#define SUM float

#include "lines.h"
#include "window.h"

/* The sums of a block. */
enum { BOTH, OPPOSITE, UPPER, LOWER, LISTS };

/* Places in the bands that successive taps of a sum read, for the first outputs of a strip. */
struct list {
    ptrdiff_t *reads, count;
};

/* Rows of the samples of a phase, and of them d0 + d1, d1 - d0 and d0 - d2; `slot` floats from row to row. */
struct bands {
    float *samples, *sums, *steps, *spans;
    ptrdiff_t slot;
};

/* What layers.h makes for an instruction set; `width` is that of a block. */
struct kernels {
    void (*mix)(const struct bands *, ptrdiff_t rows, ptrdiff_t count);
    int (*along)(const float *bands, const struct list lists[LISTS], const float *const taps[LISTS],
                 float *const out[2 * TOGETHER], ptrdiff_t columns);
    ptrdiff_t width;
};

#define LOOPS "layers.h"
#include "instructions.h"

struct job {
    const struct kernels *kernels;
    struct window window;
    struct samples target;
    struct team team;
    int best; /* instructions, or those of any processor */
    const float *values; /* (filters, channels, high, wide) */
    ptrdiff_t channels, high, wide;
    ptrdiff_t filters;  /* that sum over the same channels */
    ptrdiff_t phases;   /* of rows */
    ptrdiff_t rows;     /* that two rows of outputs read of the first phase, which has most */
    ptrdiff_t phase;    /* floats of a row: of each phase of columns */
    ptrdiff_t strip;    /* columns of outputs that are computed from the same bands, at most */
    ptrdiff_t products; /* of a filter, in all lists */

    struct bands bands; /* of the first phase of the first channel */
    ptrdiff_t plane;    /* floats of the bands of a phase of a channel */
    struct list lists[LISTS];
    ptrdiff_t *reads;             /* of all lists, one after the other */
    float *taps, *memory, *spill; /* taps of four filters in turn, one list after the other */
};

/* Kernel rows of a phase. */
static ptrdiff_t count_rows(const struct job *job, ptrdiff_t phase)
{
    return parts(job->high - phase, job->window.y.stride);
}

/* Where the bands of a phase of a channel are. */
static struct bands find_bands(const struct job *job, ptrdiff_t channel, ptrdiff_t phase)
{
    struct bands bands = job->bands;
    ptrdiff_t shift = (channel * job->phases + phase) * job->plane;
    bands.samples += shift, bands.sums += shift, bands.steps += shift, bands.spans += shift;
    return bands;
}

/* A place in a list and, with taps, what it is multiplied by in a filter of the four. */
static void enter(struct job *job, int list, const float *row, ptrdiff_t offset, float *taps, double value)
{
    struct list *entries = &job->lists[list];
    if (taps)
        taps[((entries->reads - job->reads) + entries->count) * TOGETHER] = (float)value;
    else
        entries->reads[entries->count] = row - job->memory + offset;
    entries->count++;
}

/* Go through the sums of products of a filter: write down where they read, or, with taps, what their factors are. */
static void go_through(struct job *job, const float *values, float *taps)
{
    ptrdiff_t stride = job->window.y.stride, wide = job->wide;
    for (int list = 0; list < LISTS; list++)
        job->lists[list].count = 0;
    for (ptrdiff_t channel = 0; channel < job->channels; channel++)
        for (ptrdiff_t phase = 0; phase < job->phases; phase++) {
            struct bands bands = find_bands(job, channel, phase);
            ptrdiff_t rows = count_rows(job, phase);
            for (ptrdiff_t x = 0; x < wide; x++) {
                ptrdiff_t pixel = x * job->window.x.dilation, apart = job->window.x.stride, slot = bands.slot;
                ptrdiff_t at = pixel % apart * job->phase + pixel / apart;
                const float *tap = values ? values + (channel * job->high + phase) * wide + x : NULL;
#define TAP(k) (tap ? (double)tap[(k) * stride * wide] : 0)
                for (ptrdiff_t k = 0; k < rows; k += 3, at += 3 * slot) {
                    double a = TAP(k), b = k + 1 < rows ? TAP(k + 1) : 0, c = k + 2 < rows ? TAP(k + 2) : 0;
                    if (k + 2 < rows) {
                        enter(job, BOTH, bands.sums, at + slot, taps, (a + b + c) / 2);
                        enter(job, OPPOSITE, bands.steps, at + slot, taps, (a - b + c) / 2);
                        enter(job, UPPER, bands.spans, at, taps, a);
                        enter(job, LOWER, bands.spans, at + slot, taps, -c);
                    } else if (k + 1 < rows) {
                        enter(job, BOTH, bands.samples, at + slot, taps, a + b);
                        enter(job, UPPER, bands.steps, at, taps, -a);
                        enter(job, LOWER, bands.steps, at + slot, taps, b);
                    } else {
                        enter(job, UPPER, bands.samples, at, taps, a);
                        enter(job, LOWER, bands.samples, at + slot, taps, a);
                    }
                }
#undef TAP
            }
        }
}

/* Write down where all sums read, one list after the other, and count their products. */
static void write_lists(struct job *job)
{
    ptrdiff_t most = 4 * job->channels * job->high * job->wide;
    for (int list = 0; list < LISTS; list++)
        job->lists[list].reads = job->reads + list * (most / 4);
    go_through(job, NULL, NULL);
    for (int list = 1; list < LISTS; list++) {
        ptrdiff_t *from = job->lists[list].reads, *to = job->lists[list - 1].reads + job->lists[list - 1].count;
        memmove(to, from, (size_t)job->lists[list].count * sizeof *from);
        job->lists[list].reads = to;
    }
    job->products = job->lists[LOWER].reads + job->lists[LOWER].count - job->reads;
}

/* The taps of all filters of a group, four by four; those that are missing are zero. */
static void write_taps(struct job *job, const float *values)
{
    memset(job->taps, 0, (size_t)(parts(job->filters, TOGETHER) * TOGETHER * job->products) * sizeof *job->taps);
    for (ptrdiff_t filter = 0; filter < job->filters; filter++)
        go_through(job, values + filter * job->channels * job->high * job->wide,
                   job->taps + filter / TOGETHER * TOGETHER * job->products + filter % TOGETHER);
}

/* Read what two rows of outputs need of every channel, and mix it. */
static void fill_bands(const struct job *job, ptrdiff_t first, ptrdiff_t columns, ptrdiff_t row)
{
    const struct window *window = &job->window;
    ptrdiff_t stride = window->x.stride, reach = (job->wide - 1) * window->x.dilation, size = sizeof(float);
    ptrdiff_t last = (columns - 1) * stride + reach, across = smaller(stride, reach + 1);
    for (ptrdiff_t channel = 0; channel < job->channels; channel++)
        for (ptrdiff_t phase = 0; phase < job->phases; phase++) {
            struct bands bands = find_bands(job, channel, phase);
            ptrdiff_t rows = count_rows(job, phase) + 1, kept = row ? larger(rows - 2, 0) : 0;
            memmove(bands.samples, bands.samples + 2 * bands.slot, (size_t)(kept * bands.slot * size));
            for (ptrdiff_t s = kept; s < rows; s++) {
                ptrdiff_t at = smaller((row + s) * window->y.stride + phase, window->y.size - 1);
                const SUM *filler;
                const char *from = find_row(window, channel, 0, at, &filler);
                for (ptrdiff_t p = 0; p < across; p++)
                    read_row(window, copy_sums, (char *)(bands.samples + s * bands.slot + p * job->phase), size, from, filler,
                             first * stride + p, stride, 0, 1, (last - p) / stride + 1);
            }
            job->kernels->mix(&bands, rows, across * job->phase);
        }
}

static float *target_row(const struct job *job, ptrdiff_t filter, ptrdiff_t row, ptrdiff_t column)
{
    return (float *)(job->target.data + filter * job->target.channel_step + row * job->target.row_step) + column;
}

/* Two rows of outputs of four filters. True if a result is not finite. */
static int run_block(const struct job *job, ptrdiff_t first, ptrdiff_t columns, ptrdiff_t row, ptrdiff_t filter)
{
    const float *taps[LISTS];
    float *out[2 * TOGETHER];
    ptrdiff_t narrow = columns < job->kernels->width;
    for (int list = 0; list < LISTS; list++)
        taps[list] = job->taps + (filter * job->products + (job->lists[list].reads - job->reads) * TOGETHER);
    for (ptrdiff_t i = 0; i < 2 * TOGETHER; i++) {
        ptrdiff_t f = filter + i % TOGETHER, y = row + i / TOGETHER;
        int there = f < job->filters && y < job->target.rows;
        out[i] = narrow || !there ? job->spill + i * job->bands.slot : target_row(job, f, y, first);
    }
    int unusual = job->kernels->along(job->memory, job->lists, taps, out, columns);
    for (ptrdiff_t i = 0; narrow && i < 2 * TOGETHER; i++)
        if (filter + i % TOGETHER < job->filters && row + i / TOGETHER < job->target.rows)
            memcpy(target_row(job, filter + i % TOGETHER, row + i / TOGETHER, first), out[i],
                   (size_t)columns * sizeof(float));
    return unusual;
}

/* All filters of a group: strips of columns, pairs of rows. */
static int run_group(const struct job *job)
{
    ptrdiff_t count = parts(job->target.columns, job->strip), most = parts(job->target.columns, count);
    int unusual = 0;
    for (ptrdiff_t first = 0; first < job->target.columns; first += most) {
        ptrdiff_t columns = smaller(most, job->target.columns - first);
        for (ptrdiff_t row = 0; row < job->target.rows; row += 2) {
            fill_bands(job, first, columns, row);
            for (ptrdiff_t filter = 0; filter < job->filters; filter += TOGETHER)
                unusual |= run_block(job, first, columns, row, filter);
        }
    }
    return unusual;
}

/* Decide how the work is cut, and done. */
static void lay_out(struct job *job)
{
    const struct axis *x = &job->window.x;
    ptrdiff_t reach = (job->wide - 1) * x->dilation, across = smaller(x->stride, reach + 1);
    job->kernels = INSTRUCTIONS[job->best ? supported() - 1 : 0].kernels;
    job->phases = smaller(job->window.y.stride, job->high);
    job->rows = count_rows(job, 0) + 1;
    job->strip = BANDS / (job->channels * job->phases * 4 * job->rows * across) - reach / x->stride;
    job->strip = larger(job->strip, 4 * job->kernels->width);
    job->strip = smaller(job->strip, larger(job->target.columns, job->kernels->width));
    job->phase = parts(job->strip + reach / x->stride + 1, LINE) * LINE;
    job->bands.slot = across * job->phase + LINE + LINE / 2; /* no two rows share their place in a first-level cache */
    job->plane = 4 * job->rows * job->bands.slot;
}

/* Find memory, run, give it back. -1 without memory, else whether a result is not finite. */
static int run(struct job *job)
{
    lay_out(job);
    ptrdiff_t most = 4 * job->channels * job->high * job->wide, band = job->rows * job->bands.slot, unusual = -1;
    ptrdiff_t floats = job->channels * job->phases * job->plane, groups = job->target.channels / job->filters, ready = -1;
    size_t bytes = (size_t)parts(floats + 2 * TOGETHER * job->bands.slot + job->kernels->width, LINE) * LINE * sizeof(float);
    job->memory = take_lines(bytes);
    job->reads = malloc((size_t)most * sizeof *job->reads);
    job->taps = malloc((size_t)(parts(job->filters, TOGETHER) * TOGETHER * most) * sizeof *job->taps);
    if (job->memory && job->reads && job->taps) {
        memset(job->memory, 0, bytes); /* short rows are read beyond their end */
        job->spill = job->memory + floats;
        job->bands.samples = job->memory, job->bands.sums = job->memory + band;
        job->bands.steps = job->memory + 2 * band, job->bands.spans = job->memory + 3 * band;
        write_lists(job);
        unusual = 0;
        for (struct part part; take_part(&job->team, &job->target, groups, SHORTEST, &part); ready = part.group) {
            struct job one = *job;
            ptrdiff_t filter = part.group * job->filters;
            pick_filter(&one.window, &one.target, job->channels, filter);
            cut_part(&one.window, &one.target, &part);
            if (ready != part.group)
                write_taps(&one, job->values + filter * job->channels * job->high * job->wide);
            unusual |= run_group(&one);
        }
    }
    give_lines(job->memory), free(job->reads), free(job->taps);
    return (int)unusual;
}

/* Make a job of what Python handed in. NULL, or what is wrong. */
static const char *understand(const Py_buffer *buffers, struct job *job)
{
    const Py_buffer *taps = &buffers[TAPS];
    struct window *window = &job->window;
    const char *wrong;
    if (!is_taps(taps, 5) || taps->shape[2] != 1)
        return "taps are float32 (filters, channels, 1, rows, columns)";
    job->values = taps->buf, job->channels = taps->shape[1], job->high = taps->shape[3], job->wide = taps->shape[4];
    if ((wrong = objection(window, &job->target, taps->shape)))
        return wrong;
    job->filters = job->target.channels / (window->source.channels / job->channels);
    if (window->step != 1 || job->target.slices != 1 || window->y.dilation != 1)
        return "only for planes of single samples, and dilation 1 down the columns";
    if (job->channels > MOST_TAPS / job->high / job->wide)
        return "a filter has up to 65536 taps";
    if (larger(larger(window->y.stride, window->x.stride), window->x.dilation) > MOST_STEPS)
        return "strides and dilations are up to 64";
    return job->target.column_step == sizeof(float) ? NULL : "columns of the target lie side by side";
}

#include "call.h"
#include "module.h"

static PyObject *correlate(PyObject *module, PyObject *args)
{
    PyObject *objects[READS] = {[COLUMNS] = Py_None}, *axes;
    struct job job = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOOO!np", &objects[SOURCE], &objects[TAPS], &objects[TARGET], &objects[TEAM],
                          &PyTuple_Type, &axes, &job.window.step, &job.best))
        return NULL;
    int unusual = carry_out(objects, axes, &job);
    return unusual < 0 ? NULL : PyBool_FromLong(!unusual);
}

static PyMethodDef METHODS[] = {
    {"correlate", correlate, METH_VARARGS, "correlate(source, taps, target, team, axes, step, best) -> whether all is finite"},
    {NULL, NULL, 0, NULL},
};

MODULE(_layers)
