/* The product of a kernel's vectors in float64, all passes at once: through the slices, down the columns and along the rows.
 *
 * The image is cut into strips of columns, so narrow that the rows under a kernel stay in a second-level cache. A few slices
 * of a volume are made at a time: of each row their sums through the slices are made as the columns need them, and go into a
 * ring; in a plane the pixels go there. From the ring, a few rows go down the columns, along the rows, and are rounded and
 * written while they are in the cache. Every output adds its taps in the same order, however the image is cut.
 *
 * The loops over rows are in passes.h, compiled for each instruction set. Interleaved colour is rows of `step` samples per
 * pixel, as in direct.c.
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
    TALL = 4,            /* rows that share the pixels that they read, */
    THREE = 3,           /* and vectors of each: twelve sums, three pixels and a tap are sixteen registers */
    WIDE = 4,            /* vectors of a row that share them along it */
    CACHE = 96 * 1024,   /* doubles of rows in use at a time: half of a second-level cache, or all of it where that is small */
    NARROWEST = 256,     /* columns of a strip: each computes the sums beside it anew */
    LINE = 8,            /* doubles of a line of the cache */
    SHORTEST = 16,       /* rows of a part */
    AHEAD = 3,           /* slices that are asked for before they are read */
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

/* What passes.h makes for an instruction set. */
struct kernels {
    void (*down)(const double *taps, ptrdiff_t count, const double *const *rows, double *const *out, ptrdiff_t columns,
                 ptrdiff_t tall);
    void (*along)(const double *taps, ptrdiff_t count, ptrdiff_t step, const double *const *rows, double *const *out,
                  ptrdiff_t columns, ptrdiff_t tall);
    convert *widen[KINDS];
    void (*narrow[KINDS])(char *to, ptrdiff_t to_step, void *values, ptrdiff_t count, struct counts *counts);
    ptrdiff_t lanes;
};

#define LOOPS "passes.h"
#define WITH_AVX512
#include "instructions.h"

struct job {
    struct window window;
    struct samples target;
    struct team team;
    struct counts counts;
    int instructions;
    const double *taps[3]; /* of slices, rows and columns, */
    ptrdiff_t sizes[3];    /* so many of each */
    double scale, bias;

    const struct kernels *kernels;
    ptrdiff_t halo;         /* samples that a row of outputs reads beyond its own */
    ptrdiff_t strip, slot;  /* samples of a strip's outputs at most, and doubles of a row in memory */
    ptrdiff_t kept, slices; /* rows of a ring, and rings: slices that are made at a time */
    double *memory, *ring, *through, *between, *seen, *sums;
    const double **rows;
};

/* Some slices of outputs, `deep` from `slice` on, in some columns. What these read is `count` pixels from `pixel` on and, behind
 * them, the constant; or `looked_up` already, where it is not that few. */
struct strip {
    ptrdiff_t slice, deep, first, columns, pixel, count;
    int looked_up;
};

/* Where a row of the sums through a slice, or of its pixels, is kept. */
static double *in_ring(const struct job *job, ptrdiff_t slice, ptrdiff_t row)
{
    return job->ring + (slice * job->kept + row % job->kept) * job->slot;
}

/* Find the pixels that a strip reads. */
static void find_pixels(const struct job *job, struct strip *strip)
{
    const struct axis *x = &job->window.x;
    ptrdiff_t step = job->window.step, first = strip->first / step, positions = (strip->columns + job->halo) / step;
    ptrdiff_t least = PTRDIFF_MAX, most = -1;
    for (ptrdiff_t i = first; i < first + positions; i++) {
        ptrdiff_t pixel = pixel_at(x, i);
        least = pixel == BEYOND ? least : smaller(least, pixel), most = larger(most, pixel);
    }
    strip->looked_up = !x->reads || most - least + 1 >= positions;
    strip->pixel = strip->looked_up || most < 0 ? 0 : least;
    strip->count = strip->looked_up ? positions : most < 0 ? 0 : most - least + 1;
}

/* Samples of a row in the ring: the constant's, too. */
static ptrdiff_t width(const struct job *job, const struct strip *strip)
{
    return (strip->count + !strip->looked_up) * job->window.step;
}

/* Widen what a strip reads of a row of the window. */
static void widen(const struct job *job, const struct strip *strip, ptrdiff_t slice, ptrdiff_t row, double *to)
{
    const struct window *window = &job->window;
    ptrdiff_t step = window->step, apart = window->source.column_step, size = sizeof *to;
    convert *widen = job->kernels->widen[window->source.type];
    const SUM *filler;
    const char *from = find_row(window, 0, slice, row, &filler);
    if (strip->looked_up) {
        read_row(window, widen, (char *)to, size, from, filler, strip->first / step, 1, 0, step, strip->count);
        return;
    }
    if (from)
        widen((char *)to, size, from + strip->pixel * step * apart, apart, strip->count * step);
    for (ptrdiff_t i = 0; !from && i < strip->count * step; i++)
        to[i] = *filler;
    for (ptrdiff_t s = 0; s < step; s++)
        to[strip->count * step + s] = window->outside[2];
}

/* Look up what the columns of a strip read of the sums down them. */
static const double *look_up(const struct job *job, const struct strip *strip, const double *from, double *to)
{
    const struct axis *x = &job->window.x;
    ptrdiff_t step = job->window.step, position = strip->first / step, end = position + (strip->columns + job->halo) / step;
    if (strip->looked_up)
        return from;
    for (ptrdiff_t done, at = 0; position < end; position += done, at += done * step) {
        ptrdiff_t pixel = pixel_at(x, position), place = pixel == BEYOND ? strip->count : pixel - strip->pixel;
        done = position >= x->first && position < x->last ? smaller(end, x->last) - position : 1;
        memcpy(to + at, from + place * step, (size_t)(done * step) * sizeof *to);
    }
    return to;
}

/* Tell the cache of what a strip reads of a row of the window: it does not foresee rows of slices. */
static void ask_for(const struct job *job, const struct strip *strip, ptrdiff_t slice, ptrdiff_t row)
{
    const SUM *filler;
    const char *from = slice < job->window.z.size ? find_row(&job->window, 0, slice, row, &filler) : NULL;
    ptrdiff_t apart = job->window.step * job->window.source.column_step, size = LINE * (ptrdiff_t)sizeof(double);
    for (ptrdiff_t i = 0; from && !strip->looked_up && i < strip->count * apart; i += size)
        __builtin_prefetch(from + strip->pixel * apart + i);
}

/* The sums through the slices of a row of the window. */
static void go_through(const struct job *job, const struct strip *strip, ptrdiff_t row)
{
    double *out[TALL];
    for (ptrdiff_t t = 0; t < strip->deep; t++)
        out[t] = in_ring(job, t, row);
    if (job->sizes[0] == 1 && job->taps[0][0] == 1) {
        for (ptrdiff_t t = 0; t < strip->deep; t++)
            widen(job, strip, strip->slice + t, row, out[t]);
        return;
    }
    for (ptrdiff_t i = 0; i < job->sizes[0] + strip->deep - 1; i++) {
        ask_for(job, strip, strip->slice + i + AHEAD, row);
        widen(job, strip, strip->slice + i, row, job->through + i * job->slot);
        job->rows[i] = job->through + i * job->slot;
    }
    job->kernels->down(job->taps[0], job->sizes[0], job->rows, out, width(job, strip), strip->deep);
}

/* Rows of results from their sums. */
static void put(const struct job *job, const struct strip *strip, ptrdiff_t slice, ptrdiff_t row, double *sums,
                struct counts *counts)
{
    const struct samples *target = &job->target;
    char *to = target->data + slice * target->slice_step + row * target->row_step + strip->first * target->column_step;
    if (job->scale != 1 || job->bias != 0)
        for (ptrdiff_t i = 0; i < strip->columns; i++)
            sums[i] = sums[i] * job->scale + job->bias;
    job->kernels->narrow[target->type](to, target->column_step, sums, strip->columns, counts);
}

/* Some rows of a slice: down the columns, and along the rows. */
static void go_down(const struct job *job, const struct strip *strip, ptrdiff_t t, ptrdiff_t row, ptrdiff_t tall,
                    struct counts *counts)
{
    double *between[TALL], *sums[TALL];
    const double *read[TALL];
    for (ptrdiff_t i = 0; i < job->sizes[1] + tall - 1; i++)
        job->rows[i] = in_ring(job, t, row + i);
    for (ptrdiff_t i = 0; i < tall; i++)
        between[i] = job->between + i * job->slot, sums[i] = job->sums + i * job->slot;
    job->kernels->down(job->taps[1], job->sizes[1], job->rows, between, width(job, strip), tall);
    for (ptrdiff_t i = 0; i < tall; i++)
        read[i] = look_up(job, strip, between[i], job->seen + i * job->slot);
    job->kernels->along(job->taps[2], job->sizes[2], job->window.step, read, sums, strip->columns, tall);
    for (ptrdiff_t i = 0; i < tall; i++)
        put(job, strip, strip->slice + t, row + i, sums[i], counts);
}

static void run_strip(const struct job *job, const struct strip *strip, struct counts *counts)
{
    ptrdiff_t rows = job->target.rows, tall, filled = 0;
    for (ptrdiff_t row = 0; row < rows; row += tall) {
        tall = smaller(TALL, rows - row);
        for (; filled < row + job->sizes[1] + tall - 1; filled++)
            go_through(job, strip, filled);
        for (ptrdiff_t t = 0; t < strip->deep; t++)
            go_down(job, strip, t, row, tall, counts);
    }
}

/* Decide how the work is cut. */
static void lay_out(struct job *job)
{
    ptrdiff_t step = job->window.step, columns = job->target.columns;
    job->kernels = INSTRUCTIONS[job->instructions].kernels;
    job->halo = (job->sizes[2] - 1) * step;
    job->kept = job->sizes[1] + TALL - 1;
    job->slices = job->sizes[0] == 1 ? 1 : smaller(TALL, job->target.slices);
    while (job->slices > 1 && job->slices * job->kept * (smaller(columns, NARROWEST * step) + job->halo) > CACHE)
        job->slices /= 2;
    job->strip = larger(CACHE / (job->slices * job->kept) - job->halo, NARROWEST * step);
    job->strip = parts(parts(columns, parts(columns, job->strip)), step) * step;
    ptrdiff_t block = larger(WIDE * step, THREE) * job->kernels->lanes; /* what is computed beside a strip */
    job->slot = parts(job->strip + job->halo + 2 * block, LINE) * LINE + LINE;
}

/* Memory for all rows. False without. */
static int find_room(struct job *job)
{
    ptrdiff_t through = job->sizes[0] + TALL - 1, rows = job->slices * job->kept + through + 3 * TALL;
    job->memory = take_lines((size_t)(rows * job->slot) * sizeof *job->memory);
    job->rows = malloc((size_t)larger(through, job->kept) * sizeof *job->rows);
    if (!job->memory || !job->rows)
        return 0;
    memset(job->memory, 0, (size_t)(rows * job->slot) * sizeof *job->memory); /* blocks reach beyond what is widened */
    job->ring = job->memory, job->through = job->ring + job->slices * job->kept * job->slot;
    job->between = job->through + through * job->slot, job->seen = job->between + TALL * job->slot;
    job->sums = job->seen + TALL * job->slot;
    return 1;
}

/* Find memory, run, give it back. -1 without memory. */
static int run(struct job *job)
{
    lay_out(job);
    int there = find_room(job);
    ptrdiff_t grain = job->target.slices > 1 ? job->slices : SHORTEST;
    for (struct part part; there && take_part(&job->team, &job->target, 1, grain, &part);) {
        struct job one = *job;
        cut_part(&one.window, &one.target, &part);
        for (ptrdiff_t first = 0; first < one.target.columns; first += one.strip)
            for (ptrdiff_t slice = 0; slice < one.target.slices; slice += one.slices) {
                ptrdiff_t deep = smaller(one.slices, one.target.slices - slice);
                struct strip strip = {slice, deep, first, smaller(one.strip, one.target.columns - first), 0, 0, 0};
                find_pixels(&one, &strip);
                run_strip(&one, &strip, &job->counts);
            }
    }
    free(job->rows), give_lines(job->memory);
    return there ? 0 : -1;
}

/* Make a job of what Python handed in. NULL, or what is wrong. */
static const char *understand(const Py_buffer *buffers, struct job *job)
{
    const Py_buffer *taps = &buffers[TAPS];
    const struct axis *axes[] = {&job->window.z, &job->window.y, &job->window.x};
    ptrdiff_t total = 0;
    for (int i = 0; i < 3; total += job->sizes[i++])
        if (job->sizes[i] < 1 || job->sizes[i] > INT32_MAX)
            return "there are taps for slices, rows and columns";
        else
            job->taps[i] = (const double *)taps->buf + total;
    if (!is_taps(taps, 1) || taps->shape[0] != total)
        return "taps are float64, those of slices, of rows and of columns in turn";
    if (job->instructions < 0 || job->instructions >= supported())
        return "this processor does not have these instructions";
    if (job->target.channels != 1)
        return "passes are of one channel";
    const ptrdiff_t shape[] = {1, 1, job->sizes[0], job->sizes[1], job->sizes[2]};
    const char *wrong = objection(&job->window, &job->target, shape);
    for (int i = 0; i < 3 && !wrong; i++)
        if (axes[i]->stride > 1 || axes[i]->dilation > 1)
            return "pixels of passes lie side by side, and so do the sums";
    return wrong;
}

#include "call.h"
#include "module.h"

static PyObject *pass(PyObject *module, PyObject *args)
{
    PyObject *objects[READS] = {[COLUMNS] = Py_None}, *axes;
    struct job job = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOO(nnn)O!nddi", &objects[SOURCE], &objects[TAPS], &objects[TARGET], &objects[TEAM],
                          &job.sizes[0], &job.sizes[1], &job.sizes[2], &PyTuple_Type, &axes, &job.window.step, &job.scale,
                          &job.bias, &job.instructions))
        return NULL;
    int failed = carry_out(objects, axes, &job);
    return failed ? NULL : Py_BuildValue("LLL", job.counts.below, job.counts.above, job.counts.nan);
}

static PyMethodDef METHODS[] = {
    {"run", pass, METH_VARARGS,
     "run(source, taps, target, team, (slices, rows, columns), axes, step, scale, bias, instructions) -> (below, above, nan)"},
    {NULL, NULL, 0, NULL},
};

MODULE(_passes)
