/* Winograd's minimal filtering F(2,3) down the columns of a plane of float32: for tall kernels two thirds of the products.
 *
 * The rows of a kernel are taken in threes that lie `apart`: rows g, g + apart and g + 2 apart. Two outputs that lie
 * `apart` read four pixels of such a three, and need four products instead of six:
 *     m0 = (d0 - d2) a    m1 = (d1 + d2) (a + b + c)/2    m2 = (d2 - d1) (a - b + c)/2    m3 = (d1 - d3) c
 *     y = m0 + m1 + m2    z = m1 - m2 - m3
 * Sums and differences of rows serve every column of a kernel and all of its threes, sums of products are put together
 * once. A three without c has no m3, so that a kernel of 2 apart + rest rows costs (3 apart + rest) / 2 rows of products
 * an output. Then y has a d2 in it that cancels out, of up to apart - rest rows below its footprint; all else that an
 * output depends on is inside.
 * Source: Winograd, "Arithmetic complexity of computations", 1980.
 *
 * window.h checks what Python hands in, and knows what stands beyond the image; the loops over samples are in minimal.h.
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

/* Let a vector stay in its register: compilers would rather load it again for every sum. */
#ifdef __x86_64__
#define HOLD(value) __asm__("" : "+v"(value))
#else
#define HOLD(value) (void)(value)
#endif

enum {
    LEAST_APART = 3, /* kernels of 7 rows */
    MOST_APART = 5,  /* kernels of 15 */
    LINE = 64,       /* bytes of a line of the cache */
    SLOT = 1064,     /* floats of a row of a band: all of them fit a second-level cache, and no two share their place in
                        a first-level one */
    WIDEST = 256,    /* samples that a row of outputs reads beyond its own, at most */
    MOST_SAMPLES = 4,
};

#define SAMPLES(X) X(float32, float, 'f')
#define SUM float

#include "lines.h"
#include "window.h"

/* A kernel cut into threes. The taps of each sum are laid out column by column. */
struct cut {
    ptrdiff_t apart, rest; /* rows; 2 apart + rest is the height of the kernel */
    ptrdiff_t wide, pace;  /* taps of a row, and samples from one to the next */
    const float *first, *even, *odd, *last; /* a, (a + b + c)/2, (a - b + c)/2, -c */
    float scale, bias;
};

/* d0 - d2, d1 + d2 and d2 - d1 of rows of samples, SLOT floats from row to row. */
struct bands {
    float *outer, *sum, *difference;
};

/* Fill the bands from rows of samples, and from them twice `apart` rows of outputs. */
typedef int along(const struct cut *, const struct bands *, const char *const *rows, float *const *out, ptrdiff_t columns,
                  const char *const *ahead);

/* What minimal.h makes for an instruction set: for each distance, the loop and the samples of its block. */
struct kernels {
    along *along[MOST_APART - LEAST_APART + 1];
    ptrdiff_t width[MOST_APART - LEAST_APART + 1];
};

#define LOOPS "minimal.h"
#include "instructions.h"

struct job {
    const struct kernels *kernels;
    struct window window;
    struct samples target;
    struct team team;
    int best; /* instructions, or those of any processor */
    const float *values; /* (filters, high, wide) */
    struct cut cut;
    ptrdiff_t high, halo;  /* rows of taps; samples that a row of outputs reads beyond its own */
    ptrdiff_t read;        /* rows of the window that a block of outputs reads */
    ptrdiff_t width, wide; /* samples of a block; of blocks that are whole pixels */
    ptrdiff_t strip;       /* samples of a strip of such blocks, at most */

    float *taps, *memory, *copies, *spill;
    struct bands bands;
    const char **rows, **ahead;
    float **out;
};

/* Columns that are computed with the same bands. */
struct strip {
    ptrdiff_t first, columns;
    int copied; /* pixels stand elsewhere than in the image's rows */
};

static float *target_row(const struct job *job, ptrdiff_t slice, ptrdiff_t row, ptrdiff_t column)
{
    return (float *)(job->target.data + slice * job->target.slice_step + row * job->target.row_step) + column;
}

/* The taps of a filter as the four sums need them. */
static void cut_taps(struct job *job, const float *values)
{
    struct cut *cut = &job->cut;
    ptrdiff_t apart = cut->apart, wide = cut->wide, step = apart * wide;
    float *first = job->taps, *even = first + step, *odd = even + step, *last = odd + step;
    cut->first = first, cut->even = even, cut->odd = odd, cut->last = last;
    for (ptrdiff_t x = 0; x < wide; x++)
        for (ptrdiff_t g = 0; g < apart; g++) {
            const float *tap = values + g * wide + x;
            double a = tap[0], b = tap[step], c = g < cut->rest ? tap[2 * step] : 0;
            *first++ = (float)a, *even++ = (float)((a + b + c) / 2), *odd++ = (float)((a - b + c) / 2);
            if (g < cut->rest)
                *last++ = (float)-c;
        }
}

/* Point to the rows that a block reads: in the image, or copied with what stands beyond it. Rows below the window, which
 * only outputs below the target read, are any. */
static void find_rows(const struct job *job, const struct strip *strip, ptrdiff_t slice, ptrdiff_t row)
{
    const struct window *window = &job->window;
    ptrdiff_t step = window->step, pixels = (strip->columns + job->halo) / step;
    for (ptrdiff_t i = 0; i < job->read; i++) {
        ptrdiff_t at = smaller(row + i, window->y.size - 1);
        const SUM *filler;
        const char *from = find_row(window, 0, slice, at, &filler);
        char *copy = (char *)(job->copies + (row + i) % job->read * SLOT);
        int copied = !from || strip->copied;
        if (copied && (row == 0 || i >= job->read - 2 * job->cut.apart))
            read_row(window, copy_sums, copy, sizeof(float), from, filler, strip->first / step, 1, 0, step, pixels);
        job->rows[i] = copied ? copy : from + reach_pixel(window, strip->first / step, 0);
    }
}

/* Point to the rows of the image that the next block is the first to read, then NULL: the cache does not foresee them. */
static void look_ahead(const struct job *job, const struct strip *strip, ptrdiff_t slice, ptrdiff_t row)
{
    const char **to = job->ahead;
    const SUM *filler;
    for (ptrdiff_t i = 0; i < 2 * job->cut.apart && row + job->read + i < job->window.y.size; i++) {
        const char *from = find_row(&job->window, 0, slice, row + job->read + i, &filler);
        if (from && !strip->copied)
            *to++ = from + reach_pixel(&job->window, strip->first / job->window.step, 0);
    }
    *to = NULL;
}

/* A strip of a slice, from top to bottom. True if a result is not finite. */
static int run_strip(const struct job *job, const struct strip *strip, ptrdiff_t slice)
{
    ptrdiff_t tall = 2 * job->cut.apart, rows = job->target.rows, narrow = strip->columns < job->width, unusual = 0;
    along *along = job->kernels->along[job->cut.apart - LEAST_APART];
    for (ptrdiff_t y = 0; y < rows; y += tall) {
        find_rows(job, strip, slice, y);
        look_ahead(job, strip, slice, y);
        for (ptrdiff_t i = 0; i < tall; i++)
            job->out[i] = narrow || y + i >= rows ? job->spill + i * SLOT : target_row(job, slice, y + i, strip->first);
        unusual |= along(&job->cut, &job->bands, job->rows, job->out, strip->columns, job->ahead);
        for (ptrdiff_t i = 0; narrow && i < smaller(tall, rows - y); i++)
            memcpy(target_row(job, slice, y + i, strip->first), job->out[i], (size_t)strip->columns * sizeof(float));
    }
    return unusual != 0;
}

/* The columns from `first` up to `end`, in almost equal strips. */
static int run_columns(const struct job *job, ptrdiff_t first, ptrdiff_t end, int copied)
{
    ptrdiff_t count = larger(parts(end - first, job->strip), 1);
    ptrdiff_t most = parts(parts(end - first, count), job->wide) * job->wide;
    int unusual = 0;
    for (ptrdiff_t from = first; from < end; from += most) {
        struct strip strip = {from, smaller(most, end - from), copied};
        if (strip.columns < job->wide && from > first)
            strip.first = end - job->wide, strip.columns = job->wide;
        for (ptrdiff_t slice = 0; slice < job->target.slices; slice++)
            unusual |= run_strip(job, &strip, slice);
    }
    return unusual;
}

/* All columns of a filter: those at the edges, of copied rows, and those between, unless these are too few. */
static int run_filter(const struct job *job)
{
    const struct axis *x = &job->window.x;
    ptrdiff_t step = job->window.step, columns = job->target.columns, wide = job->wide;
    ptrdiff_t left = x->first ? parts(x->first * step, wide) * wide : 0;
    ptrdiff_t right = smaller(columns, x->last * step - job->halo);
    right = right < columns ? smaller(right, columns - wide) : columns;
    if (job->window.source.column_step != sizeof(float) || right - left < 2 * wide)
        return run_columns(job, 0, columns, 1);
    return run_columns(job, 0, left, 1) | run_columns(job, left, right, 0) | run_columns(job, right, columns, 1);
}

/* Decide how the work is cut, and done. */
static void lay_out(struct job *job)
{
    struct cut *cut = &job->cut;
    cut->apart = parts(job->high, 3), cut->rest = job->high - 2 * cut->apart;
    cut->pace = job->window.x.dilation * job->window.step;
    job->halo = (cut->wide - 1) * cut->pace;
    job->read = 4 * cut->apart - 1 + cut->rest;
    job->kernels = INSTRUCTIONS[job->best ? supported() - 1 : 0].kernels;
    job->width = job->kernels->width[cut->apart - LEAST_APART];
    job->wide = job->width % job->window.step ? job->width * job->window.step : job->width;
    job->strip = (SLOT - job->halo - job->width) / job->wide * job->wide;
}

/* Find memory, run, give it back. -1 without memory, else whether a result is not finite. */
static int run(struct job *job)
{
    lay_out(job);
    ptrdiff_t apart = job->cut.apart, tall = 2 * apart, size = sizeof(float);
    ptrdiff_t outer = tall - 1 + job->cut.rest, taps = (3 * apart + job->cut.rest) * job->cut.wide, unusual = -1;
    job->taps = malloc((size_t)(taps * size));
    size_t bytes = (size_t)parts((outer + 2 * (tall - 1) + job->read + tall) * SLOT * size, LINE) * LINE;
    job->memory = take_lines(bytes);
    job->rows = malloc((size_t)job->read * sizeof *job->rows);
    job->ahead = malloc((size_t)(tall + 1) * sizeof *job->ahead);
    job->out = malloc((size_t)tall * sizeof *job->out);
    if (job->taps && job->memory && job->rows && job->ahead && job->out) {
        job->bands.outer = job->memory, job->bands.sum = job->bands.outer + outer * SLOT;
        job->bands.difference = job->bands.sum + (tall - 1) * SLOT;
        job->copies = job->bands.difference + (tall - 1) * SLOT, job->spill = job->copies + job->read * SLOT;
        memset(job->copies, 0, (size_t)(job->read * SLOT * size)); /* short rows are read beyond their end */
        unusual = 0;
        for (struct part part; take_part(&job->team, &job->target, job->target.channels, tall, &part);) {
            struct job one = *job;
            pick_filter(&one.window, &one.target, 1, part.group);
            cut_part(&one.window, &one.target, &part);
            cut_taps(&one, job->values + part.group * job->high * job->cut.wide);
            unusual |= run_filter(&one);
        }
    }
    free(job->taps), give_lines(job->memory), free(job->rows), free(job->ahead), free(job->out);
    return (int)unusual;
}

/* Make a job of what Python handed in. NULL, or what is wrong. */
static const char *understand(const Py_buffer *buffers, struct job *job)
{
    const Py_buffer *taps = &buffers[TAPS];
    struct window *window = &job->window;
    const char *wrong;
    if (!is_taps(taps, 5) || taps->shape[1] != 1 || taps->shape[2] != 1)
        return "taps are float32 (filters, 1, 1, rows, columns)";
    job->values = taps->buf, job->high = taps->shape[3], job->cut.wide = taps->shape[4];
    if (parts(job->high, 3) < LEAST_APART || parts(job->high, 3) > MOST_APART)
        return "kernels have 7 to 15 rows";
    if ((wrong = objection(window, &job->target, taps->shape)))
        return wrong;
    if (window->y.stride != 1 || window->x.stride != 1 || window->z.stride != 1 || window->y.dilation != 1)
        return "only for stride 1, and dilation 1 down the columns";
    if (window->step > MOST_SAMPLES)
        return "pixels have up to 4 samples";
    if (window->x.dilation > WIDEST / window->step / larger(job->cut.wide - 1, 1))
        return "rows of taps reach up to 256 samples";
    return job->target.column_step == sizeof(float) ? NULL : "columns of the target lie side by side";
}

#include "call.h"
#include "module.h"

static PyObject *correlate(PyObject *module, PyObject *args)
{
    PyObject *objects[READS] = {[COLUMNS] = Py_None}, *axes;
    struct job job = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOOO!nffp", &objects[SOURCE], &objects[TAPS], &objects[TARGET], &objects[TEAM],
                          &PyTuple_Type, &axes, &job.window.step, &job.cut.scale, &job.cut.bias, &job.best))
        return NULL;
    int unusual = carry_out(objects, axes, &job);
    return unusual < 0 ? NULL : PyBool_FromLong(!unusual);
}

static PyMethodDef METHODS[] = {
    {"correlate", correlate, METH_VARARGS,
     "correlate(source, taps, target, team, axes, step, scale, bias, best) -> whether all is finite"},
    {NULL, NULL, 0, NULL},
};

MODULE(_minimal)
