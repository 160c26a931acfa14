/* Sums of products over the samples of an image, in one pass: read in their own type, summed as float32 in registers,
 * scaled, rounded, clipped, counted, and written in their own type.
 *
 * A strip of four output rows is computed at a time. Rows of float32 are read where they are, if nothing beyond the image
 * is, and if they do not all fall on the same lines of the cache; others are widened once, into a ring of float32 rows that
 * stays in the cache, with what stands beyond them. A separable kernel goes down the columns into four rows of sums and
 * along these from there, so that it too reads and writes the image once.
 *
 * The loops over samples are in kernels.h, compiled for each instruction set; recipe.h is what they follow.
 * window.h checks what Python hands in, and knows what stands beyond the image. This file cuts the image into strips, and
 * picks the instruction set. An interleaved colour image is a plane whose rows hold `step` samples per pixel.
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
#if FLT_EVAL_METHOD != 0
#error "needs float arithmetic in single precision; convcli works without this module"
#endif

/* name, C type, letter in the buffer protocol, lowest, highest, first to be clipped below and above: half a step below the
 * lowest (which is even) is still rounded up, half a step above the highest (odd) is not. */
#define INTEGERS(X) \
    X(uint8, uint8_t, 'B', 0, 255, -0.5f, 255.5f) \
    X(uint16, uint16_t, 'H', 0, 65535, -0.5f, 65535.5f) \
    X(int16, int16_t, 'h', -32768, 32767, -32768.5f, 32767.5f)
#define SAMPLES(X) X(float32, float, 'f', -FLT_MAX, FLT_MAX, -FLT_MAX, INFINITY) INTEGERS(X)

#define SUM float

#include "window.h"

#include "recipe.h"

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" /* totals are read where there are several bursts only */
#endif

enum {
    SHORTEST = 4,      /* strips of a part */
    CHUNK = 512,       /* columns whose sums wait in the first-level cache for being rounded */
    LINE = 64,         /* bytes of a line of the cache */
    ALIASED = 2048,    /* bytes: rows that lie a multiple of them apart drive each other out of a first-level cache */
    RING = 256 * 1024, /* bytes of input rows that are in use at a time: half of a second-level cache */
    KEPT = 16 * RING,  /* bytes of slices up to which all that are in use stay in the ring */
};

/* What became of results that their type cannot hold, and whether some were clipped in the last row. */
struct counts {
    long long below, above, nan;
    int clips;
};

/* The numbers of an integer type, and those from which on a result is rounded out of its range. */
struct limits {
    float lowest, highest, below, above;
};

typedef int along(const struct recipe *, const char *const *reads, char *const *out, ptrdiff_t columns,
                  const char *const *ahead);

/* What kernels.h makes for an instruction set. */
struct kernels {
    along *one_row, *four_rows;
    void (*settle)(float *values, ptrdiff_t count, const struct limits *, struct counts *);
    convert *widen[KINDS];
    int (*narrow[KINDS])(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step, ptrdiff_t count);
    ptrdiff_t lanes; /* samples in a vector */
};

/* The integer nearest to a float below 2^22, half to even, counted from NEAREST_ZERO on: 1.5 * 2^23 leaves no room for a
 * fraction, so that the sum is rounded. Unlike rint(), it is a vector instruction on any processor. Of larger floats the
 * bits are further away than any integer of 16 bits. */
#define NEAREST_ZERO 0x4B400000u
static inline uint32_t nearest(float value)
{
    uint32_t bits;
    value += 12582912.0f;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

enum { FLOAT32 };
static const struct limits LIMITS[KINDS] = {
#define TYPE(name, type, format, ...) {__VA_ARGS__},
    SAMPLES(TYPE)
#undef TYPE
};

#define LOOPS "kernels.h"
#define WITH_AVX512
#include "instructions.h"

/* A filter, an image, and how the work is cut. */
struct job {
    const struct kernels *kernels;
    struct window window;
    struct samples target;
    struct team team;
    struct counts counts;
    int instructions;          /* by which of INSTRUCTIONS it is done */
    struct taps taps, columns; /* of a separable kernel the rows and the columns, a term after the other */
    ptrdiff_t channels, deep;  /* that a filter sums over; slices under the kernel: planes of taps for each channel */
    ptrdiff_t filters;         /* that sum over the same channels */
    float scale, bias;

    int in_place;          /* source rows are read where they are, except by the outputs outside [left, right) */
    int straight;          /* sums are written to the target where they are made */
    ptrdiff_t planes;      /* that a slice of outputs reads */
    ptrdiff_t high, halo;  /* kernel rows; samples that a row of outputs reads beyond its own */
    ptrdiff_t left, right; /* columns */
    ptrdiff_t tile, chunk; /* columns computed from one ring, and from one set of row pointers, at most */
    ptrdiff_t depth;       /* rows of each plane in the ring */
    ptrdiff_t span;        /* slices of each channel that stay in the ring for the next slice of outputs; 0: none */
    ptrdiff_t phase, slot; /* floats of a ring's row: of each phase of a stride along x, and of all */
    ptrdiff_t between_row; /* floats of a row between the passes of a separable kernel */

    ptrdiff_t *offsets;           /* bytes from an output's place to what each tap of a row reads */
    struct recipe *sum[SHAPES];   /* of each filter; for blocks of some, of as many as there are, four by four */
    struct recipe *down[FILTERS]; /* of each term of the columns; a row of sums, or some */
    float *ring, *between, *sums, *blank[2]; /* blank: what stands for slices and rows beyond the image */
    const char **rows, **reads;
    ptrdiff_t *kept; /* the slice in each place of the ring, or -1 */
    char *fresh;     /* whether a plane is to be widened for the slice of outputs at hand */
};

/* Columns that are computed alike; without a ring the source's rows are read where they are. */
struct range {
    ptrdiff_t first, columns;
    float *ring;
    ptrdiff_t widened; /* rows, of the slice at hand */
};

/* The outputs [x, x + columns) of a range, in the rows of a shape from `row` of a slice on. */
struct piece {
    const struct range *range;
    ptrdiff_t slice, row, x, columns;
    enum shape shape;
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

/* Whether samples are contiguous numbers of the type that sums have. */
static int is_plain(const struct samples *samples)
{
    return samples->type == FLOAT32 && samples->column_step == sizeof(float);
}

/* Where a sample lies. */
static char *place(const struct samples *samples, ptrdiff_t slice, ptrdiff_t row, ptrdiff_t column)
{
    return samples->data + slice * samples->slice_step + row * samples->row_step + column * samples->column_step;
}

/* The slice of the window that a plane of taps reads for a slice of outputs. */
static ptrdiff_t slice_under(const struct job *job, ptrdiff_t plane, ptrdiff_t slice)
{
    return slice * job->window.z.stride + plane % job->deep * job->window.z.dilation;
}

/* Planes that fit the ring. */
static ptrdiff_t places_in_ring(const struct job *job)
{
    return job->span ? job->planes / job->deep * job->span : job->planes;
}

/* The place in the ring of a plane, for a slice of outputs. */
static ptrdiff_t place_in_ring(const struct job *job, ptrdiff_t plane, ptrdiff_t slice)
{
    return job->span ? plane / job->deep * job->span + slice_under(job, plane, slice) % job->span : plane;
}

/* Widen one row of the window into its slot. With a stride along x each phase of pixels is laid out on its own, so that what a
 * kernel column reads is contiguous again. */
static void widen(const struct job *job, const struct range *range, ptrdiff_t plane, ptrdiff_t slice, ptrdiff_t row)
{
    const struct window *window = &job->window;
    ptrdiff_t stride = window->x.stride, step = window->step, reach = job->halo / step, size = sizeof(float);
    ptrdiff_t first = range->first / step * stride, last = (range->columns / step - 1) * stride + reach; /* pixels */
    char *to = (char *)(range->ring + (place_in_ring(job, plane, slice) * job->depth + row % job->depth) * job->slot);
    convert *widen = job->kernels->widen[window->source.type];
    const SUM *filler;
    const char *from = find_row(window, plane / job->deep, slice_under(job, plane, slice), row, &filler);
    if (stride == 1)
        read_row(window, widen, to, size, from, filler, first, 1, 0, step, last + 1);
    else
        for (ptrdiff_t p = 0; p < stride && p <= reach; p++)
            for (ptrdiff_t s = 0; s < step; s++)
                read_row(window, widen, to + (p * job->phase + s) * size, step * size, from, filler, first + p, stride, s,
                         1, (last - p) / stride + 1);
}

/* How many blocks of a shape the filters of a group make: four by four, and the rest one by one. */
static ptrdiff_t blocks(const struct job *job, enum shape shape)
{
    return shape == FILTERS ? job->filters / TALLEST : job->filters % TALLEST;
}

/* The first filter of a block. */
static ptrdiff_t first_filter(const struct job *job, enum shape shape, ptrdiff_t block)
{
    return shape == FILTERS ? block * TALLEST : job->filters - job->filters % TALLEST + block;
}

/* Point to the rows that a piece reads in each plane. */
static void find_rows(const struct job *job, const struct piece *piece)
{
    const struct window *window = &job->window;
    const struct range *range = piece->range;
    const char **to = job->rows;
    const SUM *filler;
    for (ptrdiff_t plane = 0; plane < job->planes; plane++) {
        ptrdiff_t place = place_in_ring(job, plane, piece->slice) * job->depth;
        for (ptrdiff_t i = 0; i < job->high + SHAPE[piece->shape].rows - 1; i++) {
            ptrdiff_t at = piece->row * window->y.stride + i * window->y.dilation;
            if (range->ring) {
                *to++ = (const char *)(range->ring + (place + at % job->depth) * job->slot + piece->x);
                continue;
            }
            const char *from = find_row(window, plane / job->deep, slice_under(job, plane, piece->slice), at, &filler);
            *to++ = from ? from + reach_pixel(window, 0, range->first + piece->x)
                         : (const char *)job->blank[filler == &window->outside[1]];
        }
    }
}

/* Point to the rows that the next strip is the first to read or to widen, of the last plane, if their samples are as far
 * apart as the sums, and to those that it writes, where that is done in place; then NULL. The cache does not foresee rows. */
static void look_ahead(const struct job *job, const struct piece *piece, const struct samples *target, const char **ahead)
{
    int tall = SHAPE[piece->shape].rows, reads = !piece->range->ring || (!job->in_place && is_plain(&job->window.source));
    ptrdiff_t next = piece->row + tall, last = job->planes - 1, under = slice_under(job, last, piece->slice);
    ptrdiff_t column = piece->range->first + piece->x;
    const SUM *filler;
    const char *from;
    if (job->window.y.dilation > 1 || next + tall > target->rows)
        tall = 0;
    for (int t = 0; t < tall; t++) {
        from = find_row(&job->window, last / job->deep, under, next + t + job->high - 1, &filler);
        if (from && reads)
            *ahead++ = from + reach_pixel(&job->window, 0, column);
        if (job->straight)
            *ahead++ = place(target, piece->slice, next + t, column);
    }
    *ahead = NULL;
}

/* Point to what each tap of a recipe reads in the rows that were found. */
static void point(const struct job *job, const struct recipe *recipe)
{
    for (ptrdiff_t i = 0; i < recipe->count; i++)
        job->reads[i] = job->rows[recipe->reads[i].row] + recipe->reads[i].offset;
}

/* Follow a recipe over what was pointed to. True if a result is not finite. */
static int follow(const struct job *job, const struct recipe *recipe, char *const *out, enum shape shape, ptrdiff_t columns,
                  const char *const *ahead)
{
    return (shape == ROW ? job->kernels->one_row : job->kernels->four_rows)(recipe, job->reads, out, columns, ahead);
}

/* The columns of a separable kernel: from the rows that were found to rows of sums, which are the ones found then. */
static void sum_down(const struct job *job, enum shape shape, ptrdiff_t columns)
{
    ptrdiff_t terms = job->columns.planes, tall = SHAPE[shape].rows;
    char *out[TALLEST];
    const char *nothing = NULL;
    for (ptrdiff_t term = 0; term < terms; term++) {
        for (ptrdiff_t t = 0; t < tall; t++)
            out[t] = (char *)(job->between + (term * tall + t) * job->between_row);
        point(job, &job->down[shape][term]);
        follow(job, &job->down[shape][term], out, shape, columns, &nothing);
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

/* Write a row of sums, none of them NaN, as samples. It is clipped first where the row before had to be, or if it proves
 * that this is needed. */
static void put_row(const struct job *job, const struct samples *target, char *to, float *sums, ptrdiff_t columns,
                    struct counts *counts)
{
    const struct kernels *kernels = job->kernels;
    if (!counts->clips && !kernels->narrow[target->type](to, target->column_step, (char *)sums, sizeof(float), columns))
        return;
    long long clipped = counts->below + counts->above;
    kernels->settle(sums, columns, &LIMITS[target->type], counts);
    counts->clips = counts->below + counts->above > clipped;
    kernels->narrow[target->type](to, target->column_step, (char *)sums, sizeof(float), columns);
}

/* A piece of a block: of one filter, or of some, the first of which is that of `target`. */
static void settle_block(const struct job *job, const struct piece *piece, const struct recipe *recipe,
                         const struct samples *target, struct counts *counts)
{
    enum shape shape = piece->shape;
    int outputs = SHAPE[shape].rows * SHAPE[shape].filters;
    ptrdiff_t apart = shape == FILTERS ? target->channel_step : target->row_step * job->window.y.dilation;
    char *out[TALLEST], *to[TALLEST];
    const char *ahead[2 * TALLEST + 1] = {NULL};
    for (int t = 0; t < outputs; t++) {
        to[t] = place(target, piece->slice, piece->row, piece->range->first + piece->x) + t * apart;
        out[t] = job->straight ? to[t] : (char *)(job->sums + t * (job->chunk + margin(job)));
    }
    if (shape == ROWS)
        look_ahead(job, piece, target, ahead);
    int unusual = follow(job, recipe, out, shape, piece->columns, ahead);
    for (int t = 0; t < outputs; t++) {
        if (unusual)
            count_unusual(out[t], piece->columns, target->type, counts);
        if (!job->straight)
            put_row(job, target, to[t], (float *)out[t], piece->columns, counts);
    }
}

/* A piece, of all filters that are computed in its shape. */
static void compute(const struct job *job, const struct piece *piece, struct counts *counts)
{
    enum shape shape = piece->shape;
    struct samples target = job->target;
    find_rows(job, piece);
    if (job->columns.values)
        sum_down(job, shape, job->window.x.stride > 1 ? job->slot : piece->columns + job->halo);
    point(job, job->sum[shape]);
    for (ptrdiff_t i = 0; i < blocks(job, shape); i++) {
        target.data = job->target.data + first_filter(job, shape, i) * target.channel_step;
        settle_block(job, piece, &job->sum[shape][i], &target, counts);
    }
}

static void strip(const struct job *job, const struct range *range, ptrdiff_t slice, ptrdiff_t row, enum shape shape,
                  struct counts *counts)
{
    ptrdiff_t count = parts(range->columns, job->chunk);
    for (ptrdiff_t i = 0; i < count; i++) {
        ptrdiff_t x = begin(range->columns, count, i), end = begin(range->columns, count, i + 1);
        compute(job, &(struct piece){range, slice, row, x, end - x, shape}, counts);
    }
}

/* The rows [y, y + rows) of a range. Under dilation the rows of a strip are those that share input rows. */
static void band(const struct job *job, struct range *range, ptrdiff_t slice, ptrdiff_t y, ptrdiff_t rows,
                 struct counts *counts)
{
    const struct axis *axis = &job->window.y;
    ptrdiff_t apart = axis->stride > 1 ? 1 : axis->dilation;
    ptrdiff_t read = (y + rows - 1) * axis->stride + (job->high - 1) * axis->dilation;
    range->widened = larger(range->widened, y * axis->stride);
    for (; range->ring && range->widened <= read; range->widened++)
        for (ptrdiff_t plane = 0; plane < job->planes; plane++)
            if (job->fresh[plane])
                widen(job, range, plane, slice, range->widened);
    for (ptrdiff_t t = 0; t < rows && blocks(job, FILTERS); t++)
        strip(job, range, slice, y + t, FILTERS, counts);
    for (ptrdiff_t p = 0; p < smaller(apart, rows) && blocks(job, ROWS); p++)
        if (axis->stride == 1 && p + (TALLEST - 1) * apart < rows)
            strip(job, range, slice, y + p, ROWS, counts);
        else
            for (ptrdiff_t t = p; t < rows; t += apart)
                strip(job, range, slice, y + t, ROW, counts);
}

/* Find the planes that the ring does not hold. */
static void find_fresh(const struct job *job, ptrdiff_t slice)
{
    for (ptrdiff_t plane = 0; plane < job->planes; plane++) {
        ptrdiff_t under = slice_under(job, plane, slice), *kept = &job->kept[place_in_ring(job, plane, slice)];
        job->fresh[plane] = !job->span || *kept != under;
        *kept = under;
    }
}

/* All rows of a slice, of some ranges beside each other: what one has read is in the cache for the next. */
static void run_slice(const struct job *job, struct range *ranges, ptrdiff_t count, ptrdiff_t slice, struct counts *counts)
{
    const struct axis *axis = &job->window.y;
    ptrdiff_t tall = axis->stride > 1 ? 1 : TALLEST * axis->dilation;
    find_fresh(job, slice);
    for (ptrdiff_t i = 0; i < count; i++)
        ranges[i].widened = 0;
    for (ptrdiff_t y = 0; y < job->target.rows; y += tall)
        for (ptrdiff_t i = 0; i < count; i++)
            band(job, &ranges[i], slice, y, smaller(tall, job->target.rows - y), counts);
}

/* Tiles of columns; the first and the last one have the outputs at the edges beside them. */
static void run_job(const struct job *job, struct counts *counts)
{
    ptrdiff_t step = job->window.step, pixels = (job->right - job->left) / step, count = parts(pixels, job->tile / step);
    for (ptrdiff_t i = 0; i < count; i++) {
        ptrdiff_t first = job->left + begin(pixels, count, i) * step, last = job->left + begin(pixels, count, i + 1) * step;
        struct range ranges[3], *next = ranges;
        if (i == 0 && job->left > 0)
            *next++ = (struct range){0, job->left, job->ring, 0};
        *next++ = (struct range){first, last - first, job->in_place ? NULL : job->ring, 0};
        if (i == count - 1 && job->right < job->target.columns)
            *next++ = (struct range){job->right, job->target.columns - job->right,
                                     job->ring + job->planes * job->depth * job->slot, 0};
        for (ptrdiff_t place = 0; place < places_in_ring(job); place++)
            job->kept[place] = -1;
        for (ptrdiff_t slice = 0; slice < job->target.slices; slice++)
            run_slice(job, ranges, next - ranges, slice, counts);
    }
}

/* Find the columns of outputs that read nothing beyond the image's rows. Those at the edges are none, or as many as the
 * widest block needs. False if too few are left between them. */
static int find_edges(struct job *job, ptrdiff_t reach, ptrdiff_t least)
{
    const struct axis *x = &job->window.x;
    ptrdiff_t step = job->window.step, columns = job->target.columns, wide = parts(least, step) * step;
    ptrdiff_t left = x->first ? larger(x->first * step, wide) : 0, right = (x->last - reach) * step;
    right = right < columns ? smaller(right, columns - wide) : columns;
    if (right - left < larger(wide, columns / 2))
        return 0;
    job->left = left, job->right = right;
    return 1;
}

/* Let the ring hold all rows of the slices that outputs read, if they are few and short: each is widened once. */
static void keep_slices(struct job *job)
{
    const struct axis *y = &job->window.y;
    ptrdiff_t span = (job->deep - 1) * job->window.z.dilation + 1, row = job->target.columns + job->halo + margin(job);
    ptrdiff_t rows = (job->target.rows - 1) * y->stride + (job->high - 1) * y->dilation + 1;
    if (job->channels <= KEPT / (ptrdiff_t)sizeof(float) / row / rows / span)
        job->span = span, job->depth = rows, job->tile = job->target.columns;
}

/* Decide how the work is cut. What is read or written where it is needs rows as long as the widest block, in every
 * chunk; equal parts of at least twice that length have it. */
static void lay_out(struct job *job)
{
    const struct window *window = &job->window;
    const struct samples *source = &window->source, *target = &job->target;
    const struct axis *y = &window->y, *x = &window->x;
    ptrdiff_t size = sizeof(float), strided = x->stride > 1, least = margin(job), step = window->step;
    ptrdiff_t reach = (job->taps.wide - 1) * x->dilation;
    ptrdiff_t band = y->stride > 1 ? 1 : smaller(TALLEST * y->dilation, target->rows);

    job->planes = job->columns.values ? 1 : job->taps.planes;
    job->high = job->columns.values ? job->columns.high : job->taps.high;
    job->halo = reach * step;
    job->depth = (band - 1) * y->stride + (job->high - 1) * y->dilation + 1;
    job->straight = is_plain(target) && target->columns >= least;
    job->span = 0, job->left = 0, job->right = target->columns;
    job->in_place = is_plain(source) && source->row_step % ALIASED && !job->columns.values && !strided &&
                    find_edges(job, reach, least);
    job->tile = smaller(job->right - job->left, larger(2 * least, RING / size / (job->planes * job->depth)));
    if (!job->in_place && !strided && job->deep > 1 && target->slices > 1)
        keep_slices(job);
    if (strided)
        job->tile = smaller(job->tile, CHUNK);
    job->tile = parts(job->tile, step) * step;
    job->chunk = larger(job->tile, larger(job->left, target->columns - job->right));
    if (!strided && (job->columns.values || !job->straight))
        job->chunk = smaller(job->chunk, job->columns.values ? larger(CHUNK, 8 * job->halo) : CHUNK);
    job->phase = larger(job->in_place ? 0 : job->tile, larger(job->left, target->columns - job->right));
    job->phase += reach / x->stride * step;
    job->slot = smaller(x->stride, reach + 1) * job->phase + least;
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

/* Room for `count` recipes of a shape, which read alike. */
static struct recipe *find_recipes(enum shape shape, ptrdiff_t count, const struct taps *taps, struct memory *memory)
{
    ptrdiff_t total = count_taps(taps), tall = SHAPE[shape].rows * SHAPE[shape].filters;
    struct recipe *recipes = room(memory, count, sizeof *recipes);
    struct recipe first = {.scale = 1};
    ptrdiff_t values = total * tall * (shape == ROWS && taps->high == 1 ? 2 : 1); /* sideways up to twice as many */
    first.taps = room(memory, count * values, sizeof *first.taps);
    first.reads = room(memory, total * 2 * SHAPE[shape].rows, sizeof *first.reads);
    first.runs = room(memory, taps->planes * (TALLEST + 1) + ABREAST * (total / BURST + 1) + 2, sizeof *first.runs);
    for (ptrdiff_t i = 0; !memory->failed && i < count; i++, first.taps += values)
        recipes[i] = first;
    return recipes;
}

static void fill(const struct job *job, struct recipe *recipe, enum shape shape, struct taps taps, const ptrdiff_t *offsets)
{
    ptrdiff_t pace = taps.wide > 1 && job->window.x.stride == 1 ? offsets[1] - offsets[0] : 0;
    write_recipe(recipe, taps, offsets, pace, shape, job->kernels->lanes * (ptrdiff_t)sizeof(float));
}

/* The recipes of all filters of a group. */
static void prepare(struct job *job)
{
    static const ptrdiff_t here[2] = {0};
    for (ptrdiff_t tap = 0; tap < job->taps.wide; tap++) {
        ptrdiff_t pixel = tap * job->window.x.dilation, stride = job->window.x.stride;
        job->offsets[tap] = (pixel % stride * job->phase + pixel / stride * job->window.step) * (ptrdiff_t)sizeof(float);
    }
    for (int shape = 0; shape < SHAPES; shape++)
        for (ptrdiff_t i = 0; i < blocks(job, shape); i++) {
            struct recipe *recipe = &job->sum[shape][i];
            struct taps taps = job->taps;
            taps.values += first_filter(job, shape, i) * count_taps(&taps);
            fill(job, recipe, shape, taps, job->offsets);
            recipe->scale = job->scale, recipe->bias = job->bias;
        }
    for (ptrdiff_t i = 0; i < job->columns.planes; i++) {
        struct taps term = {job->columns.values + i * job->high, 1, job->high, 1};
        for (int shape = 0; shape < FILTERS; shape++)
            fill(job, &job->down[shape][i], shape, term, here);
    }
}

static void find_room(struct job *job, struct memory *memory)
{
    ptrdiff_t planes = job->planes, terms = job->columns.planes, size = sizeof(float);
    ptrdiff_t most = 2 * TALLEST * larger(count_taps(&job->taps), job->high);
    job->offsets = room(memory, job->taps.wide, sizeof *job->offsets);
    for (int shape = 0; shape < SHAPES; shape++)
        job->sum[shape] = find_recipes(shape, blocks(job, shape), &job->taps, memory);
    for (int shape = 0; shape < FILTERS; shape++)
        job->down[shape] = find_recipes(shape, terms, &(struct taps){NULL, 1, job->high, 1}, memory);
    job->rows = room(memory, larger(planes * (job->high + TALLEST - 1), terms * TALLEST), sizeof *job->rows);
    job->reads = room(memory, most, sizeof *job->reads);
    ptrdiff_t rings = job->in_place ? 2 * (job->left > 0 || job->right < job->target.columns) : 1;
    job->ring = room(memory, rings * places_in_ring(job) * job->depth, job->slot * size);
    job->kept = room(memory, places_in_ring(job), sizeof *job->kept);
    job->fresh = room(memory, planes, 1);
    for (int i = 0; i < 2; i++) {
        ptrdiff_t outside = job->in_place && meets_outside(i ? &job->window.y : &job->window.z);
        ptrdiff_t columns = outside ? job->chunk + job->halo + margin(job) : 0;
        job->blank[i] = room(memory, columns, size);
        for (ptrdiff_t x = 0; job->blank[i] && x < columns; x++)
            job->blank[i][x] = job->window.outside[i];
    }
    job->between = room(memory, terms * TALLEST, job->between_row * size);
    job->sums = room(memory, job->straight ? 0 : TALLEST, (job->chunk + margin(job)) * size);
}

/* Find memory, run, give it back. -1 without memory. */
static int run(struct job *job)
{
    lay_out(job);
    struct memory memory = {calloc(32, sizeof(void *)), 0, 0};
    memory.failed = !memory.blocks;
    find_room(job, &memory);
    ptrdiff_t groups = job->target.channels / job->filters, grain = SHORTEST * TALLEST * job->window.y.dilation, ready = -1;
    grain = job->target.slices > 1 ? larger(job->deep, TALLEST) : grain;
    for (struct part part; !memory.failed && take_part(&job->team, &job->target, groups, grain, &part); ready = part.group) {
        struct job one = *job;
        ptrdiff_t filter = part.group * job->filters;
        pick_filter(&one.window, &one.target, job->channels, filter);
        cut_part(&one.window, &one.target, &part);
        one.taps.values += filter * count_taps(&job->taps);
        if (ready != part.group)
            prepare(&one);
        run_job(&one, &job->counts);
    }
    while (memory.count)
        free(memory.blocks[--memory.count]);
    free(memory.blocks);
    return memory.failed ? -1 : 0;
}

/* Contiguous float32 taps of `ndim` axes, the last three of them (planes, high, wide). NULL, or what is wrong. */
static const char *as_taps(const Py_buffer *buffer, int ndim, struct taps *taps)
{
    if (!is_taps(buffer, ndim))
        return "taps are float32 (filters, channels, slices, rows, columns), those of terms (terms, rows, columns)";
    const Py_ssize_t *shape = buffer->shape + ndim - 3;
    *taps = (struct taps){buffer->buf, shape[0], shape[1], shape[2]};
    return NULL;
}

/* Make a job of what Python handed in. NULL, or what is wrong. */
static const char *understand(const Py_buffer *buffers, struct job *job)
{
    const Py_buffer *taps = &buffers[TAPS], *columns = &buffers[COLUMNS];
    struct window *window = &job->window;
    int terms = columns->obj != NULL;
    const char *wrong;
    if (job->instructions < 0 || job->instructions >= supported())
        return "this processor does not have these instructions";
    job->kernels = INSTRUCTIONS[job->instructions].kernels;
    if ((wrong = as_taps(taps, terms ? 3 : 5, &job->taps)) || (terms && (wrong = as_taps(columns, 3, &job->columns))))
        return wrong;
    if (terms && (job->taps.high != 1 || job->columns.wide != 1 || job->columns.planes != job->taps.planes))
        return "a term is a row and a column of taps";
    const ptrdiff_t separable[] = {1, 1, 1, job->columns.high, job->taps.wide}, *shape = terms ? separable : taps->shape;
    job->channels = shape[1], job->deep = shape[2];
    job->taps.planes *= terms ? 1 : job->channels;
    if ((wrong = objection(window, &job->target, shape)))
        return wrong;
    job->filters = job->target.channels / (window->source.channels / job->channels);
    return NULL;
}

#include "call.h"
#include "module.h"

static PyObject *filter(PyObject *module, PyObject *args)
{
    PyObject *objects[READS], *axes;
    struct job job = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOOOO!nffi", &objects[SOURCE], &objects[TAPS], &objects[TARGET], &objects[COLUMNS],
                          &objects[TEAM], &PyTuple_Type, &axes, &job.window.step, &job.scale, &job.bias, &job.instructions))
        return NULL;
    int failed = carry_out(objects, axes, &job);
    return failed ? NULL : Py_BuildValue("LLL", job.counts.below, job.counts.above, job.counts.nan);
}

static PyMethodDef METHODS[] = {
    {"filter", filter, METH_VARARGS,
     "filter(source, taps, target, columns, team, axes, step, scale, bias, instructions) -> (below, above, nan)"},
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

MODULE(_direct, {Py_mod_exec, (void *)add_instructions},)
