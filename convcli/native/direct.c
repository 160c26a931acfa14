/* Sums of products over the samples of an image, in one pass: read in their own type, summed as float32 in registers,
 * scaled, rounded, clipped, counted, and written in their own type.
 *
 * A strip of four output rows is computed at a time. Rows of float32 are read where they are; other types are widened
 * once, into a ring of float32 rows that stays in the cache. A separable kernel goes down the columns into four rows of
 * sums and along these from there, so that it too reads and writes the image once.
 *
 * The loops over samples are in kernels.h, compiled for each instruction set; recipe.h is what they follow. This file
 * checks what Python hands in, cuts the image into strips, and picks the instruction set. An interleaved colour image is
 * a plane whose rows hold `step` samples per pixel: taps and strides count pixels, columns count samples.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recipe.h"

#ifndef __GNUC__
#error "needs the vector types of GCC or Clang; convcli works without this module"
#endif
#if FLT_EVAL_METHOD != 0
#error "needs float arithmetic in single precision; convcli works without this module"
#endif

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" /* totals are read where there are several bursts only */
#endif
#define INLINE inline __attribute__((always_inline))

enum {
    CHUNK = 512,       /* columns whose sums wait in the first-level cache for being rounded */
    RING = 256 * 1024, /* bytes of input rows that are in use at a time: half of a second-level cache */
};

/* What became of results that their type cannot hold. */
struct counts {
    long long below, above, nan;
};

/* The numbers of an integer type, and those from which on a result is rounded out of its range. */
struct limits {
    float lowest, highest, below, above;
};

typedef int along(const struct recipe *, const char *const *reads, char *const *out, ptrdiff_t columns);
typedef void convert(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step, ptrdiff_t count);

/* What kernels.h makes for an instruction set. */
struct kernels {
    along *one_row, *four_rows;
    void (*settle)(float *values, ptrdiff_t count, const struct limits *, struct counts *);
    convert *widen[4], *narrow[4];
    ptrdiff_t lanes; /* samples in a vector */
};

/* The integer nearest to a float below 2^22, half to even: 1.5 * 2^23 leaves no room for a fraction, so that the sum is
 * rounded, with the integer in its low bits. Unlike rint(), it is a vector instruction on any processor. */
static INLINE int32_t nearest(float value)
{
    int32_t bits;
    value += 12582912.0f;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* name, C type, letter in the buffer protocol, from a float, lowest, highest, first to be clipped below and above:
 * half a step below the lowest (which is even) is still rounded up, half a step above the highest (odd) is not. */
#define SAMPLES(X) \
    X(float32, float, 'f', , -FLT_MAX, FLT_MAX, -FLT_MAX, INFINITY) \
    X(uint8, uint8_t, 'B', nearest, 0, 255, -0.5f, 255.5f) \
    X(uint16, uint16_t, 'H', nearest, 0, 65535, -0.5f, 65535.5f) \
    X(int16, int16_t, 'h', nearest, -32768, 32767, -32768.5f, 32767.5f)

enum { FLOAT32 };
static const struct {
    char format;
    Py_ssize_t size;
    struct limits limits;
} TYPES[] = {
#define TYPE(name, type, format, convert, ...) {format, sizeof(type), {__VA_ARGS__}},
    SAMPLES(TYPE)
#undef TYPE
};

#define VECTOR 16
#define TARGET
#define NAME(name) name##_baseline
#include "kernels.h"
#undef VECTOR
#undef TARGET
#undef NAME

#ifdef __x86_64__
#define VECTOR 32
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(name) name##_avx2
#include "kernels.h"
#undef VECTOR
#undef TARGET
#undef NAME

#define VECTOR 64
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#define NAME(name) name##_avx512
#include "kernels.h"
#undef VECTOR
#undef TARGET
#undef NAME
#endif

/* Rows and columns of samples; steps in bytes. */
struct samples {
    char *data;
    int type;
    ptrdiff_t planes, rows, columns, plane_step, row_step, column_step;
};

/* A filter, an image, and how the work is cut. */
struct job {
    const struct kernels *kernels;
    struct samples source, target;
    struct taps taps, columns; /* of a separable kernel the rows and the columns, a term after the other */
    struct axis y, x;
    ptrdiff_t step; /* samples per pixel */
    float scale, bias;

    int in_place;          /* source rows are read where they are */
    int straight;          /* sums are written to the target where they are made */
    ptrdiff_t high, halo;  /* kernel rows; samples that a row of outputs reads beyond its own */
    ptrdiff_t tile, chunk; /* columns computed from one ring, and from one set of row pointers, at most */
    ptrdiff_t depth;       /* rows of each plane in the ring */
    ptrdiff_t phase, slot; /* floats of a ring's row: of each phase of a stride along x, and of all */
    ptrdiff_t between_row; /* floats of a row between the passes of a separable kernel */

    struct recipe sum[2], *down; /* the taps, for one and for four rows; the same of each term of the columns */
    float *ring, *between, *sums;
    const char **rows, **reads;
};

/* Where part `i` of `count` almost equal parts begins. */
static ptrdiff_t begin(ptrdiff_t whole, ptrdiff_t count, ptrdiff_t i)
{
    return whole / count * i + smaller(whole % count, i);
}

/* How far beyond a short row the widest block reads and writes, in samples. */
static ptrdiff_t margin(const struct job *job)
{
    return larger(WIDEST, ABREAST * MOST_APART) * job->kernels->lanes;
}

/* Widen one source row into its slot. With a stride along x each phase of pixels is laid out on its own, so that what a
 * kernel column reads is contiguous again. */
static void widen(const struct job *job, ptrdiff_t plane, ptrdiff_t row, ptrdiff_t x, ptrdiff_t columns)
{
    const struct samples *source = &job->source;
    ptrdiff_t stride = job->x.stride, step = stride > 1 ? job->step : 1, size = sizeof(float);
    const char *from = source->data + plane * source->plane_step + row * source->row_step;
    char *to = (char *)(job->ring + (plane * job->depth + row % job->depth) * job->slot);
    ptrdiff_t reach = job->halo / step, last = (columns / step - 1) * stride + reach; /* in pixels of this layout */
    for (ptrdiff_t p = 0; p < stride && p <= reach; p++)
        for (ptrdiff_t s = 0; s < step; s++)
            job->kernels->widen[source->type](to + (p * job->phase + s) * size, step * size,
                                              from + (x * stride + p * step + s) * source->column_step,
                                              stride * step * source->column_step, (last - p) / stride + 1);
}

/* Point to the rows that the outputs from `row` on read in each plane. */
static void find_rows(const struct job *job, ptrdiff_t row, int tall, ptrdiff_t tile, ptrdiff_t x)
{
    const struct samples *source = &job->source;
    const char **to = job->rows;
    for (ptrdiff_t plane = 0; plane < source->planes; plane++)
        for (ptrdiff_t i = 0; i < job->high + tall - 1; i++) {
            ptrdiff_t at = row * job->y.stride + i * job->y.dilation;
            if (job->in_place)
                *to++ = source->data + plane * source->plane_step + at * source->row_step +
                        (tile + x) * source->column_step;
            else
                *to++ = (const char *)(job->ring + (plane * job->depth + at % job->depth) * job->slot + x);
        }
}

/* Follow a recipe over the rows that were found. True if a result is not finite. */
static int sum(const struct job *job, const struct recipe *recipe, char *const *out, int tall, ptrdiff_t columns)
{
    for (ptrdiff_t i = 0; i < recipe->count; i++)
        job->reads[i] = job->rows[recipe->reads[i].row] + recipe->reads[i].offset;
    return (tall == 1 ? job->kernels->one_row : job->kernels->four_rows)(recipe, job->reads, out, columns);
}

/* The columns of a separable kernel: from the rows that were found to rows of sums, which are the ones found then. */
static void sum_down(const struct job *job, int tall, ptrdiff_t columns)
{
    ptrdiff_t terms = job->columns.planes;
    char *out[TALLEST];
    for (ptrdiff_t term = 0; term < terms; term++) {
        for (int t = 0; t < tall; t++)
            out[t] = (char *)(job->between + (term * tall + t) * job->between_row);
        sum(job, &job->down[2 * term + (tall > 1)], out, tall, columns);
    }
    for (ptrdiff_t i = 0; i < terms * tall; i++)
        job->rows[i] = (const char *)(job->between + i * job->between_row);
}

/* Count the NaN among results, which become 0 on the way to an integer; and, on the way to float32, the infinities. */
static void count_unusual(char *values, ptrdiff_t count, int type, struct counts *counts)
{
    for (ptrdiff_t i = 0; i < count; i++, values += sizeof(float)) {
        float value;
        memcpy(&value, values, sizeof value);
        counts->nan += value != value;
        if (type == FLOAT32)
            counts->below += value == -INFINITY, counts->above += value == INFINITY;
        else if (value != value)
            memset(values, 0, sizeof value);
    }
}

/* The outputs [x, x + columns) of a tile in `tall` rows from `row` on. */
static void compute(const struct job *job, ptrdiff_t row, int tall, ptrdiff_t tile, ptrdiff_t x, ptrdiff_t columns,
                    struct counts *counts)
{
    const struct samples *target = &job->target;
    char *out[TALLEST], *to[TALLEST];
    find_rows(job, row, tall, tile, x);
    if (job->columns.values)
        sum_down(job, tall, job->x.stride > 1 ? job->slot : columns + job->halo);
    for (int t = 0; t < tall; t++) {
        to[t] = target->data + (row + t * job->y.dilation) * target->row_step + (tile + x) * target->column_step;
        out[t] = job->straight ? to[t] : (char *)(job->sums + t * (job->chunk + margin(job)));
    }
    int unusual = sum(job, &job->sum[tall > 1], out, tall, columns);
    for (int t = 0; t < tall; t++) {
        if (unusual)
            count_unusual(out[t], columns, target->type, counts);
        if (target->type != FLOAT32)
            job->kernels->settle((float *)out[t], columns, &TYPES[target->type].limits, counts);
        if (!job->straight)
            job->kernels->narrow[target->type](to[t], target->column_step, out[t], sizeof(float), columns);
    }
}

static void strip(const struct job *job, ptrdiff_t row, int tall, ptrdiff_t tile, ptrdiff_t columns,
                  struct counts *counts)
{
    ptrdiff_t count = parts(columns, job->chunk);
    for (ptrdiff_t i = 0; i < count; i++) {
        ptrdiff_t x = begin(columns, count, i);
        compute(job, row, tall, tile, x, begin(columns, count, i + 1) - x, counts);
    }
}

/* All rows of a tile of columns. Under dilation the rows of a strip are those that share input rows. */
static void run_tile(const struct job *job, ptrdiff_t tile, ptrdiff_t columns, struct counts *counts)
{
    ptrdiff_t stride = job->y.stride, apart = stride > 1 ? 1 : job->y.dilation, widened = 0;
    ptrdiff_t band = stride > 1 ? 1 : TALLEST * apart, reach = (job->high - 1) * job->y.dilation;
    for (ptrdiff_t y = 0; y < job->target.rows; y += band) {
        ptrdiff_t rows = smaller(band, job->target.rows - y);
        widened = larger(widened, y * stride);
        for (; !job->in_place && widened <= (y + rows - 1) * stride + reach; widened++)
            for (ptrdiff_t plane = 0; plane < job->source.planes; plane++)
                widen(job, plane, widened, tile, columns);
        for (ptrdiff_t p = 0; p < smaller(apart, rows); p++)
            if (stride == 1 && p + (TALLEST - 1) * apart < rows)
                strip(job, y + p, TALLEST, tile, columns, counts);
            else
                for (ptrdiff_t t = p; t < rows; t += apart)
                    strip(job, y + t, 1, tile, columns, counts);
    }
}

static void run_job(const struct job *job, struct counts *counts)
{
    ptrdiff_t unit = job->x.stride > 1 ? job->step : 1, units = job->target.columns / unit;
    ptrdiff_t count = parts(job->target.columns, job->tile);
    for (ptrdiff_t i = 0; i < count; i++) {
        ptrdiff_t tile = begin(units, count, i) * unit;
        run_tile(job, tile, begin(units, count, i + 1) * unit - tile, counts);
    }
}

/* Decide how the work is cut. What is read or written where it is needs rows as long as the widest block, in every
 * chunk; equal parts of at least twice that length have it. */
static void lay_out(struct job *job)
{
    const struct samples *source = &job->source, *target = &job->target;
    ptrdiff_t size = sizeof(float), strided = job->x.stride > 1, least = margin(job);
    ptrdiff_t reach = (job->taps.wide - 1) * job->x.dilation;
    ptrdiff_t band = job->y.stride > 1 ? 1 : smaller(TALLEST * job->y.dilation, target->rows);

    job->high = job->columns.values ? job->columns.high : job->taps.high;
    job->halo = reach * job->step;
    job->depth = (band - 1) * job->y.stride + (job->high - 1) * job->y.dilation + 1;
    job->in_place = source->type == FLOAT32 && source->column_step == size && !strided && target->columns >= least;
    job->straight = target->type == FLOAT32 && target->column_step == size && !strided && target->columns >= least;
    job->tile = smaller(target->columns, larger(2 * least, RING / size / (source->planes * job->depth)));
    if (strided)
        job->tile = larger(smaller(job->tile, CHUNK) / job->step, 1) * job->step;
    job->chunk = job->tile;
    if (!strided && (job->columns.values || !job->straight))
        job->chunk = smaller(job->tile, job->columns.values ? larger(CHUNK, 8 * job->halo) : CHUNK);
    job->phase = job->tile + reach / job->x.stride * job->step;
    job->slot = smaller(job->x.stride, reach + 1) * job->phase + least;
    job->between_row = strided ? job->slot : job->chunk + job->halo + least;
}

/* Memory that is given back at once. */
struct memory {
    void **blocks;
    ptrdiff_t count;
    int failed;
};

static void *room(struct memory *memory, ptrdiff_t count, ptrdiff_t size)
{
    void *block = memory->failed ? NULL : calloc((size_t)larger(count, 1), (size_t)size);
    memory->failed |= !block;
    return block ? memory->blocks[memory->count++] = block : NULL;
}

/* Recipes for blocks of one and of four rows. */
static void prepare(const struct job *job, struct recipe recipes[2], struct taps taps, const ptrdiff_t *offsets,
                    struct memory *memory)
{
    ptrdiff_t total = taps.planes * taps.high * taps.wide, vector = job->kernels->lanes * (ptrdiff_t)sizeof(float);
    ptrdiff_t pace = taps.wide > 1 && job->x.stride == 1 ? offsets[1] - offsets[0] : 0;
    for (int i = 0; i < 2 && !memory->failed; i++) {
        ptrdiff_t tall = i ? TALLEST : 1;
        struct recipe recipe = {.scale = 1};
        recipe.taps = room(memory, total * tall, sizeof *recipe.taps);
        recipe.reads = room(memory, total * tall * 2, sizeof *recipe.reads);
        recipe.runs = room(memory, taps.planes * TALLEST + total / BURST + 2, sizeof *recipe.runs);
        if (!memory->failed)
            write_recipe(&recipe, taps, offsets, pace, tall, vector);
        recipes[i] = recipe;
    }
}

static void find_room(struct job *job, struct memory *memory)
{
    static const ptrdiff_t here = 0;
    ptrdiff_t planes = job->source.planes, terms = job->columns.planes, size = sizeof(float);
    ptrdiff_t *offsets = room(memory, job->taps.wide, sizeof *offsets);
    for (ptrdiff_t tap = 0; offsets && tap < job->taps.wide; tap++) {
        ptrdiff_t pixel = tap * job->x.dilation, stride = job->x.stride;
        offsets[tap] = (pixel % stride * job->phase + pixel / stride * job->step) * size;
    }
    prepare(job, job->sum, job->taps, offsets, memory);
    for (int i = 0; i < 2; i++)
        job->sum[i].scale = job->scale, job->sum[i].bias = job->bias;
    job->down = room(memory, 2 * terms, sizeof *job->down);
    for (ptrdiff_t i = 0; i < terms; i++) {
        struct taps term = {job->columns.values + i * job->high, 1, job->high, 1};
        prepare(job, job->down + 2 * i, term, &here, memory);
    }
    job->rows = room(memory, larger(planes * (job->high + TALLEST - 1), terms * TALLEST), sizeof *job->rows);
    job->reads = room(memory, larger(job->sum[1].count, TALLEST * job->high), sizeof *job->reads);
    job->ring = room(memory, job->in_place ? 0 : planes * job->depth, job->slot * size);
    job->between = room(memory, terms * TALLEST, job->between_row * size);
    job->sums = room(memory, job->straight ? 0 : TALLEST, (job->chunk + margin(job)) * size);
}

/* Find memory, run, give it back. False without memory. */
static int run(struct job *job, struct counts *counts)
{
    struct memory memory = {calloc((size_t)(16 + 6 * job->columns.planes), sizeof(void *)), 0, 0};
    memory.failed = !memory.blocks;
    find_room(job, &memory);
    if (!memory.failed)
        run_job(job, counts);
    while (memory.count)
        free(memory.blocks[--memory.count]);
    free(memory.blocks);
    return !memory.failed;
}

/* Nothing outside the buffers may be read or written, whatever the caller says: the one place that makes sure of it.
 * NULL, or what is wrong. */
static const char *objection(struct job *job)
{
    const struct samples *source = &job->source, *target = &job->target;
    const struct taps *taps = &job->taps, *columns = &job->columns;
    if (columns->values ? source->planes != 1 || taps->high != 1 || columns->wide != 1 || columns->planes != taps->planes
                        : source->planes != taps->planes)
        return "the taps do not belong to the planes of the source";
    if (job->step < 1 || source->columns % job->step || target->columns % job->step)
        return "the columns are no multiple of step";
    if (!fits(target->rows, columns->values ? columns->high : taps->high, &job->y, source->rows) ||
        !fits(target->columns / job->step, taps->wide, &job->x, source->columns / job->step))
        return "the target reads beyond the source";
    return NULL;
}

/* A buffer as planes, rows and columns of samples. NULL, or what is wrong. */
static const char *as_samples(const Py_buffer *buffer, int ndim, struct samples *samples)
{
    const char *format = buffer->format ? buffer->format : "B";
    format += format[0] == '='; /* how NumPy marks samples at odd addresses */
    int type = 0, count = sizeof TYPES / sizeof *TYPES;
    while (type < count && (format[0] != TYPES[type].format || buffer->itemsize != TYPES[type].size))
        type++;
    if (type == count || format[1] || buffer->ndim != ndim)
        return "the source has 3 dimensions, the target 2, of uint8, uint16, int16 or float32";
    for (int i = 0; i < ndim; i++)
        if (buffer->shape[i] > INT32_MAX) /* keeps every product of two sizes inside 64 bits */
            return "an axis is longer than 2147483647";
    const Py_ssize_t *shape = buffer->shape + ndim - 2, *steps = buffer->strides + ndim - 2;
    *samples = (struct samples){buffer->buf, type, 1, shape[0], shape[1], 0, steps[0], steps[1]};
    if (ndim == 3)
        samples->planes = buffer->shape[0], samples->plane_step = buffer->strides[0];
    return NULL;
}

/* Contiguous float32 taps (planes, high, wide). NULL, or what is wrong. */
static const char *as_taps(const Py_buffer *buffer, struct taps *taps)
{
    if (buffer->ndim != 3 || strcmp(buffer->format, "f") || !buffer->len)
        return "taps are float32 (planes, rows, columns)";
    *taps = (struct taps){buffer->buf, buffer->shape[0], buffer->shape[1], buffer->shape[2]};
    return NULL;
}

/* In the order of preference, each the better of those before it. */
static const struct {
    const char *name;
    const struct kernels *kernels;
} INSTRUCTIONS[] = {
    {"baseline", &kernels_baseline},
#ifdef __x86_64__
    {"avx2", &kernels_avx2},
    {"avx512", &kernels_avx512},
#endif
};

/* How many of them this processor has. */
static int supported(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx2 ? 2 + avx512 : 1;
#else
    return 1;
#endif
}

enum { SOURCE, TAPS, TARGET, COLUMNS, BUFFERS };

/* Make a job of what Python handed in. NULL, or what is wrong. */
static const char *understand(const Py_buffer *buffers, int instructions, struct job *job)
{
    const char *wrong;
    if (instructions < 0 || instructions >= supported())
        return "this processor does not have these instructions";
    job->kernels = INSTRUCTIONS[instructions].kernels;
    if ((wrong = as_samples(&buffers[SOURCE], 3, &job->source)) || (wrong = as_taps(&buffers[TAPS], &job->taps)) ||
        (wrong = as_samples(&buffers[TARGET], 2, &job->target)))
        return wrong;
    if (buffers[COLUMNS].obj && (wrong = as_taps(&buffers[COLUMNS], &job->columns)))
        return wrong;
    return objection(job);
}

static PyObject *filter(PyObject *module, PyObject *args)
{
    static const int flags[] = {PyBUF_RECORDS_RO, PyBUF_ND | PyBUF_FORMAT, PyBUF_RECORDS, PyBUF_ND | PyBUF_FORMAT};
    PyObject *objects[BUFFERS];
    Py_buffer buffers[BUFFERS] = {{0}};
    struct job job = {0};
    struct counts counts = {0};
    int instructions, done = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOO(nn)(nn)nffi", &objects[SOURCE], &objects[TAPS], &objects[TARGET],
                          &objects[COLUMNS], &job.y.stride, &job.x.stride, &job.y.dilation, &job.x.dilation, &job.step,
                          &job.scale, &job.bias, &instructions))
        return NULL;
    for (int i = 0; i < BUFFERS; i++)
        if ((i != COLUMNS || objects[i] != Py_None) && PyObject_GetBuffer(objects[i], &buffers[i], flags[i]))
            goto release;
    const char *wrong = understand(buffers, instructions, &job);
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
    {"filter", filter, METH_VARARGS,
     "filter(source, taps, target, columns, stride, dilation, step, scale, bias, instructions) -> (below, above, nan)"},
    {NULL, NULL, 0, NULL},
};

/* INSTRUCTIONS: the names of those that this processor has. */
static int add_instructions(PyObject *module)
{
    PyObject *names = PyTuple_New(supported());
    for (int i = 0; names && i < supported(); i++)
        PyTuple_SetItem(names, i, PyUnicode_FromString(INSTRUCTIONS[i].name));
    int result = PyModule_AddObjectRef(module, "INSTRUCTIONS", names);
    Py_XDECREF(names);
    return result;
}

PyMODINIT_FUNC PyInit__direct(void)
{
    static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)add_instructions}, {0, NULL}};
    static PyModuleDef definition = {
        PyModuleDef_HEAD_INIT, .m_name = "_direct", .m_methods = METHODS, .m_slots = slots};
    return PyModuleDef_Init(&definition);
}
