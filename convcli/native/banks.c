/* Filter banks as sums of products over channels and taps, in registers: no columns are laid out, and none multiplied.
 *
 * Filters lie side by side in vectors: a tap of all filters of a vector is one load, a pixel one number for all of them. A
 * block is one or two vectors of filters by up to fourteen outputs of a row; its sums stay in registers while all channels
 * and taps go by, each a place in the pixels (a list, the same for every block) and the next tap of the filters. So strides,
 * dilations, depth and 1x1 are nothing but other lists. Pixels of a tile are laid out row by row, all channels of a row
 * together, the columns that a stride leaves side by side; they are read once, with what stands beyond the image.
 * Long sums are cut into stretches, whose taps stay in the near cache while all blocks of a tile go by. The order of a sum is
 * that of channels and taps, whatever the tile: the same pixels make the same bits.
 * Source: Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008, for the order of loops; Georganas
 * and others, "Anatomy of high-performance deep learning convolutions on SIMD architectures", 2018, for doing so without columns.
 *
 * window.h checks what Python hands in, and knows what stands beyond the image; the loops over vectors are in banks.h.
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
    TALL = 4,            /* rows of outputs of a filter that are summed alone, */
    WIDEST = 4,          /* and vectors of their columns, at most */
    NEAR = 6 * 1024,     /* floats of the pixels of such a tile: in the first-level cache, beside what is written */
    ABREAST = 2,         /* vectors of filters of a block, at most */
    LINE = 16,           /* floats of a line of the cache */
    PIXELS = 128 * 1024, /* floats of a tile's pixels: half a second-level cache */
    LEAST = 112,         /* outputs of a tile that its taps are worth reading for */
    LONGEST = 448,       /* columns of a tile */
    SHARES = 4,          /* pieces of work for each thread of a team */
    MOST_FLOATS = INT32_MAX / 2, /* of a tile's pixels */
};

#define SAMPLES(X) X(float32, float, 'f')
#define SUM float
#define WITH_AVX512

#include "lines.h"
#include "window.h"

/* Taps that follow each other in the sums of a block: where each reads; of two vectors of filters, `apart` floats from one to
 * the other; whether sums begin with them. */
struct stretch {
    const int32_t *reads;
    const float *taps;
    ptrdiff_t count, apart;
    int begins;
};

/* Add the sum of a stretch to those of a block: as many positions as its name says, ABREAST vectors of each. */
typedef void block(const float *pixels, const struct stretch *stretch, float *sums);

/* A row of pixels, and where the row of taps is that each of TALL rows of outputs meets it with; -1: it does not. */
struct row {
    ptrdiff_t from, taps[TALL];
};

/* All rows that `tall` rows of outputs read, and in each the place that each tap of a row reads. */
struct rows {
    struct row *each;
    ptrdiff_t count, tall, wide, *columns;
};

/* What banks.h makes for an instruction set: blocks of one vector of filters and of two, for 1 to `most` positions. */
struct kernels {
    block *const *blocks[ABREAST];
    ptrdiff_t most[ABREAST];
    void (*deal)(const float *pixels, ptrdiff_t stride, ptrdiff_t phases, ptrdiff_t count, float *to);
    int (*turn)(const float *sums, ptrdiff_t count, float *out, ptrdiff_t apart, ptrdiff_t filters);
    int (*rows)(const float *pixels, const float *taps, const struct rows *rows, float *const out[TALL], ptrdiff_t columns);
    ptrdiff_t lanes;
};

#define LOOPS "banks.h"
#include "instructions.h"

struct job {
    const struct kernels *kernels;
    struct window window;
    struct samples target;
    struct team team;
    int instructions;    /* by which of INSTRUCTIONS it is done */
    int alone;           /* whether filters are summed one by one, and not in vectors */
    const float *values; /* (groups, vectors, taps, lanes); those of filters alone (filters, taps) */
    ptrdiff_t channels, deep, high, wide;
    ptrdiff_t groups;
    ptrdiff_t filters, vectors, taps; /* of a group; channels x deep x high x wide */
    ptrdiff_t stretch;                /* taps that are summed before the next block */

    ptrdiff_t rows, columns; /* of the outputs of a tile, at most */
    ptrdiff_t held;          /* rows of a slice that these read */
    ptrdiff_t phase, line, slot; /* floats of the columns of a phase, of a row of a channel, of a row of all channels */
    ptrdiff_t across;        /* phases */
    ptrdiff_t chunk, chunks; /* vectors of filters of a piece of work, and pieces of a tile */
    int32_t *reads;
    struct rows all;     /* for filters alone */
    struct job *before;  /* of a pair: what makes the pixels of the mix */
    const float *mix;    /* of a pair: (1, vectors, filters of the first step, lanes) */
    float *pixels, *sums, *whole; /* whole: a row before its columns are dealt out */
};

/* A tile: outputs of a slice, and the group. */
struct tile {
    ptrdiff_t group, slice, row, rows, column, columns;
};

/* Write down where each tap reads, for the first output of a tile. */
static void write_reads(const struct job *job)
{
    const struct axis *y = &job->window.y, *x = &job->window.x;
    int32_t *next = job->reads;
    for (ptrdiff_t j = 0; j < job->wide; j++)
        job->all.columns[j] = j * x->dilation % x->stride * job->phase + j * x->dilation / x->stride;
    for (ptrdiff_t channel = 0; channel < job->channels; channel++)
        for (ptrdiff_t k = 0; k < job->deep; k++)
            for (ptrdiff_t i = 0; i < job->high; i++)
                for (ptrdiff_t j = 0; j < job->wide; j++) {
                    ptrdiff_t row = k * job->held + i * y->dilation;
                    *next++ = (int32_t)(row * job->slot + channel * job->line + job->all.columns[j]);
                }
}

/* Whether a tap of any of `rows` outputs reads a row of the window. */
static int is_read(const struct job *job, ptrdiff_t row, ptrdiff_t rows)
{
    const struct axis *y = &job->window.y;
    for (ptrdiff_t i = 0; i < job->high; i++) {
        ptrdiff_t from = row - i * y->dilation;
        if (from >= 0 && from % y->stride == 0 && from / y->stride < rows)
            return 1;
    }
    return 0;
}

/* Read `count` pixels of a row from a position on; NULL is one beyond the image, where `filler` stands. */
static void read_pixels(const struct window *window, const char *row, const SUM *filler, ptrdiff_t position, ptrdiff_t count,
                        float *to)
{
    const struct axis *x = &window->x;
    ptrdiff_t step = window->source.column_step, outside = window->outside[2] == *filler || unbroken(x);
    ptrdiff_t begin = smaller(larger(x->first - position, 0), count), end = larger(smaller(x->last - position, count), begin);
    if (!row && outside) {
        for (ptrdiff_t i = 0; i < count; i++)
            to[i] = *filler;
        return;
    }
    if (row)
        copy_sums((char *)(to + begin), sizeof(SUM), row + reach_pixel(window, position + begin, 0), step, end - begin);
    for (ptrdiff_t i = row && !begin ? end : 0; i < count; i = row && i + 1 == begin ? end : i + 1) {
        ptrdiff_t pixel = pixel_at(x, position + i);
        to[i] = pixel == BEYOND ? window->outside[2] : *filler;
        if (row && pixel != BEYOND)
            memcpy(to + i, row + pixel * step, sizeof(SUM));
    }
}

/* Lay out a row of a channel. */
static void fill_row(const struct job *job, const struct tile *tile, ptrdiff_t channel, ptrdiff_t slice, ptrdiff_t row,
                     float *to)
{
    const struct window *window = &job->window;
    const struct axis *x = &window->x;
    ptrdiff_t last = (tile->columns - 1) * x->stride + (job->wide - 1) * x->dilation;
    float *whole = x->stride > 1 ? job->whole : to;
    const SUM *filler;
    const char *from = find_row(window, tile->group * job->channels + channel, slice, row, &filler);
    read_pixels(window, from, filler, tile->column * x->stride, last + 1, whole);
    if (whole != to)
        job->kernels->deal(whole, x->stride, job->across, job->phase, to);
}

static void make_pixels(const struct job *job, const struct tile *tile);

/* Lay out the pixels that a tile reads: channel by channel, as they lie in memory. */
static void fill_pixels(const struct job *job, const struct tile *tile)
{
    if (job->before) {
        make_pixels(job, tile);
        return;
    }
    const struct axis *z = &job->window.z, *y = &job->window.y;
    ptrdiff_t rows = (tile->rows - 1) * y->stride + (job->high - 1) * y->dilation + 1;
    int all = y->dilation == 1 && y->stride <= job->high;
    for (ptrdiff_t channel = 0; channel < job->channels; channel++)
        for (ptrdiff_t k = 0; k < job->deep; k++)
            for (ptrdiff_t row = 0; row < rows; row++)
                if (all || is_read(job, row, tile->rows))
                    fill_row(job, tile, channel, tile->slice * z->stride + k * z->dilation, tile->row * y->stride + row,
                             job->pixels + (k * job->held + row) * job->slot + channel * job->line);
}

/* Add a stretch to the sums of all blocks of a tile. */
static void run_stretch(const struct job *job, const struct tile *tile, const struct stretch *stretch, int many)
{
    ptrdiff_t lanes = ABREAST * job->kernels->lanes, count = parts(tile->columns, job->kernels->most[many - 1]);
    for (ptrdiff_t row = 0; row < tile->rows; row++) {
        const float *pixels = job->pixels + row * job->window.y.stride * job->slot;
        for (ptrdiff_t i = 0; i < count; i++) {
            ptrdiff_t begin = tile->columns * i / count, end = tile->columns * (i + 1) / count;
            job->kernels->blocks[many - 1][end - begin - 1](pixels + begin, stretch,
                                                            job->sums + (row * tile->columns + begin) * lanes);
        }
    }
}

/* Write what the sums of a vector of filters are. True if a result is not finite. */
static int put_results(const struct job *job, const struct tile *tile, ptrdiff_t number, const float *sums)
{
    const struct samples *target = &job->target;
    ptrdiff_t lanes = job->kernels->lanes, filter = tile->group * job->filters + number * lanes;
    ptrdiff_t left = smaller(lanes, job->filters - number * lanes), size = sizeof(float);
    int whole = target->row_step == tile->columns * size, unusual = 0; /* rows follow each other */
    ptrdiff_t rows = whole ? 1 : tile->rows, count = whole ? tile->rows * tile->columns : tile->columns;
    char *to = target->data + filter * target->channel_step + tile->slice * target->slice_step +
               tile->row * target->row_step + tile->column * size;
    for (ptrdiff_t row = 0; row < rows; row++)
        unusual |= job->kernels->turn(sums + row * count * ABREAST * lanes, count, (float *)(to + row * target->row_step),
                                      target->channel_step / size, left);
    return unusual;
}

/* Write down which rows some rows of outputs read, TALL of them at most, and by which taps of a filter. */
static void write_rows(const struct job *job, struct rows *rows, ptrdiff_t tall)
{
    const struct axis *y = &job->window.y;
    ptrdiff_t read = (tall - 1) * y->stride + (job->high - 1) * y->dilation + 1;
    rows->count = 0, rows->tall = tall;
    for (ptrdiff_t plane = 0; plane < job->channels * job->deep; plane++)
        for (ptrdiff_t at = 0; at < read; at++) {
            struct row *row = &rows->each[rows->count];
            int any = 0;
            for (ptrdiff_t t = 0; t < TALL; t++) {
                ptrdiff_t from = at - t * y->stride, i = from / y->dilation;
                int meets = t < tall && from >= 0 && i * y->dilation == from && i < job->high;
                row->taps[t] = meets ? (plane * job->high + i) * job->wide : -1;
                any |= meets;
            }
            row->from = (plane % job->deep * job->held + at) * job->slot + plane / job->deep * job->line;
            rows->count += any;
        }
}

/* A filter of a tile, alone. True if a result is not finite. */
static int run_alone(const struct job *job, const struct tile *tile, const struct rows *rows, ptrdiff_t number)
{
    const struct samples *target = &job->target;
    ptrdiff_t filter = tile->group * job->filters + number, size = sizeof(float);
    char *to = target->data + filter * target->channel_step + tile->slice * target->slice_step +
               tile->row * target->row_step + tile->column * size;
    int unusual = 0;
    for (ptrdiff_t row = 0; row < tile->rows; row += rows->tall) {
        ptrdiff_t first = smaller(row, tile->rows - rows->tall); /* the last ones reach back */
        const float *pixels = job->pixels + first * job->window.y.stride * job->slot;
        float *out[TALL] = {NULL};
        for (ptrdiff_t t = 0; t < rows->tall; t++)
            out[t] = (float *)(to + (first + t) * target->row_step);
        unusual |= job->kernels->rows(pixels, job->values + filter * job->taps, rows, out, tile->columns);
    }
    return unusual;
}

/* Filters of a tile, or some vectors of them. True if a result is not finite. */
static int run_tile(struct job *job, const struct tile *tile, ptrdiff_t first, ptrdiff_t last)
{
    ptrdiff_t lanes = job->kernels->lanes, apart = job->taps * lanes;
    int unusual = 0;
    if (job->alone && job->all.tall != smaller(TALL, tile->rows))
        write_rows(job, &job->all, smaller(TALL, tile->rows));
    for (ptrdiff_t filter = 0; job->alone && filter < job->filters; filter++)
        unusual |= run_alone(job, tile, &job->all, filter);
    for (ptrdiff_t number = first, many; number < last && !job->alone; number += many) {
        many = smaller(ABREAST, last - number);
        const float *taps = job->values + (tile->group * job->vectors + number) * apart;
        for (ptrdiff_t tap = 0; tap < job->taps; tap += job->stretch) {
            ptrdiff_t count = smaller(job->stretch, job->taps - tap);
            struct stretch stretch = {job->reads + tap, taps + tap * lanes, count, apart, !tap};
            run_stretch(job, tile, &stretch, (int)many);
        }
        for (ptrdiff_t v = 0; v < many; v++)
            unusual |= put_results(job, tile, number + v, job->sums + v * lanes);
    }
    return unusual;
}

/* Let the first step of a pair write what the mix of a tile reads where it reads it. */
static void make_pixels(const struct job *job, const struct tile *tile)
{
    struct job *first = job->before;
    ptrdiff_t size = sizeof(float);
    first->target = (struct samples){.channel_step = job->line * size, .row_step = job->slot * size};
    first->target.data = (char *)(job->pixels - tile->row * job->slot - tile->column);
    struct tile part = *tile;
    for (part.group = 0; part.group < first->groups; part.group++)
        for (part.row = tile->row; part.row < tile->row + tile->rows; part.row += first->rows) {
            part.rows = smaller(first->rows, tile->row + tile->rows - part.row);
            fill_pixels(first, &part);
            run_tile(first, &part, 0, 1);
        }
}

/* How the outputs are cut: tiles down, across, and in all. */
static ptrdiff_t count_tiles(const struct job *job, ptrdiff_t *down, ptrdiff_t *across)
{
    *down = parts(job->target.rows, job->rows), *across = parts(job->target.columns, job->columns);
    return job->groups * job->target.slices * *down * *across;
}

/* A tile by its number. */
static struct tile find_tile(const struct job *job, ptrdiff_t number)
{
    ptrdiff_t down, across;
    count_tiles(job, &down, &across);
    struct tile tile = {.column = number % across * job->columns, .row = number / across % down * job->rows};
    number /= across * down;
    tile.slice = number % job->target.slices, tile.group = number / job->target.slices;
    tile.rows = smaller(job->rows, job->target.rows - tile.row);
    tile.columns = smaller(job->columns, job->target.columns - tile.column);
    return tile;
}

/* Floats of the rows that `rows` rows of `columns` outputs read. */
static ptrdiff_t floats_of(struct job *job, ptrdiff_t rows, ptrdiff_t columns)
{
    const struct axis *y = &job->window.y, *x = &job->window.x;
    ptrdiff_t reach = (job->wide - 1) * x->dilation;
    job->rows = rows, job->columns = columns, job->all.wide = job->wide;
    job->across = smaller(x->stride, reach + 1);
    job->phase = columns + reach / x->stride;
    job->line = job->across * job->phase;
    job->slot = job->channels * job->line + LINE; /* rows do not share their place in a first-level cache */
    job->held = (rows - 1) * y->stride + (job->high - 1) * y->dilation + 1;
    return job->deep * job->held * job->slot;
}

/* Rows of a tile of so many columns, up to `whole`. */
static ptrdiff_t find_rows(struct job *job, ptrdiff_t columns, ptrdiff_t whole)
{
    ptrdiff_t most = job->alone ? NEAR : PIXELS, least = job->alone ? TALL * job->kernels->lanes : LEAST, rows = 1;
    while (rows < whole && (rows * columns < least || floats_of(job, rows + 1, columns) <= most))
        rows++;
    return job->alone && rows < whole ? larger(TALL, rows / TALL * TALL) : parts(whole, parts(whole, rows));
}

/* Decide how the outputs are cut. False where a tile would be too large. */
static int lay_out(struct job *job)
{
    ptrdiff_t columns = parts(job->target.columns, parts(job->target.columns, LONGEST)), down, across;
    ptrdiff_t most = job->alone ? NEAR : PIXELS, least = job->alone ? TALL * job->kernels->lanes : LEAST;
    while (columns > least && floats_of(job, 1, columns) > most)
        columns = parts(columns, 2);
    ptrdiff_t rows = find_rows(job, columns, job->target.rows);
    if (floats_of(job, rows, columns) > MOST_FLOATS && (rows > 1 || floats_of(job, 1, columns) > MOST_FLOATS))
        return 0;
    ptrdiff_t tiles = count_tiles(job, &down, &across), pairs = parts(job->vectors, ABREAST);
    job->chunks = job->team.size > 1 ? smaller(pairs, parts(SHARES * job->team.size, tiles)) : 1;
    job->chunk = parts(pairs, job->chunks) * ABREAST;
    job->chunks = parts(job->vectors, job->chunk);
    return 1;
}

/* Take pieces of work until none is left. True if a result is not finite. */
static int run_pieces(struct job *job)
{
    ptrdiff_t down, across, pieces = count_tiles(job, &down, &across) * job->chunks, ready = -1;
    int unusual = 0;
    for (;;) {
        ptrdiff_t piece = __atomic_fetch_add(job->team.next, 1, __ATOMIC_RELAXED), number = piece / job->chunks;
        if (piece < 0 || piece >= pieces)
            return unusual;
        struct tile tile = find_tile(job, number);
        if (ready != number)
            fill_pixels(job, &tile);
        ready = number;
        ptrdiff_t first = piece % job->chunks * job->chunk;
        unusual |= run_tile(job, &tile, first, smaller(job->vectors, first + job->chunk));
    }
}

/* Some floats that begin with a line of the cache, the first of them zero. */
static float *find_floats(ptrdiff_t count, ptrdiff_t zero)
{
    float *floats = take_lines((size_t)parts(count, LINE) * LINE * sizeof(float));
    if (floats)
        memset(floats, 0, (size_t)zero * sizeof(float));
    return floats;
}

/* Memory for a tile of a job; `release` gives it back. False where there is none. */
static int allocate(struct job *job)
{
    ptrdiff_t lanes = job->kernels->lanes, whole = job->window.x.stride * (job->phase + 2 * lanes);
    job->pixels = find_floats(floats_of(job, job->rows, job->columns) + lanes, 0);
    job->whole = find_floats(whole, whole);
    job->sums = find_floats(job->alone ? 1 : job->rows * job->columns * ABREAST * lanes, 0);
    job->reads = malloc((size_t)job->taps * sizeof *job->reads);
    job->all.each = malloc((size_t)(job->alone ? job->channels * job->deep * job->held : 1) * sizeof *job->all.each);
    job->all.columns = malloc((size_t)job->wide * sizeof *job->all.columns);
    if (!job->pixels || !job->whole || !job->sums || !job->reads || !job->all.each || !job->all.columns)
        return 0;
    write_reads(job);
    return 1;
}

static void release(struct job *job)
{
    give_lines(job->pixels), give_lines(job->whole), give_lines(job->sums);
    free(job->reads), free(job->all.each), free(job->all.columns);
}

/* Find memory, run, give it back. -1 without memory, else whether a result is not finite. Of a pair, the mix is what is cut
 * into tiles, and its pixels are what the first step makes for each. */
static int run(struct job *job)
{
    struct job first = *job, mix = *job;
    int unusual = -1, ready = 1;
    if (job->mix) {
        static const struct axis each = {.stride = 1, .dilation = 1};
        mix.before = &first, mix.alone = 0, mix.values = job->mix;
        mix.channels = mix.taps = first.groups * first.filters, mix.deep = mix.high = mix.wide = 1;
        mix.groups = 1, mix.filters = job->target.channels, mix.vectors = parts(mix.filters, job->kernels->lanes);
        mix.window.z = mix.window.y = mix.window.x = each;
    }
    ready = lay_out(&mix);
    if (ready && job->mix) {
        first.rows = find_rows(&first, mix.columns, mix.rows);
        ready = floats_of(&first, first.rows, mix.columns) <= MOST_FLOATS && allocate(&first);
    }
    if (ready && allocate(&mix))
        unusual = run_pieces(&mix);
    release(&mix);
    if (job->mix)
        release(&first);
    return unusual;
}

/* Taps as they are, or packed. NULL, or what is wrong. */
static const char *as_bank(const Py_buffer *taps, struct job *job)
{
    job->values = taps->buf, job->alone = taps->ndim == 5;
    if (!is_taps(taps, job->alone ? 5 : 4) || job->channels < 1 || job->deep < 1 || job->high < 1 || job->wide < 1)
        return "taps are float32 (groups, vectors, taps, lanes), or (filters, channels, slices, rows, columns)";
    if (job->alone) {
        const Py_ssize_t *shape = taps->shape + 1;
        job->taps = shape[0] * shape[1] * shape[2] * shape[3], job->vectors = 1;
        if (shape[0] != job->channels || shape[1] != job->deep || shape[2] != job->high || shape[3] != job->wide)
            return "the taps are not those of the kernel";
    } else {
        job->taps = taps->shape[2], job->vectors = taps->shape[1];
        if (taps->shape[3] != job->kernels->lanes || job->taps % job->channels ||
            job->taps / job->channels % job->deep || job->taps / job->channels / job->deep % job->high ||
            job->taps / job->channels / job->deep / job->high != job->wide)
            return "the taps are not those of the kernel";
    }
    return job->taps > MOST_FLOATS ? "a filter has too many taps" : NULL;
}

/* Make a job of what Python handed in. NULL, or what is wrong. */
static const char *understand(const Py_buffer *buffers, struct job *job)
{
    const Py_buffer *taps = &buffers[TAPS];
    struct window *window = &job->window;
    const char *wrong;
    if (job->instructions < 0 || job->instructions >= supported())
        return "this processor does not have these instructions";
    job->kernels = INSTRUCTIONS[job->instructions].kernels;
    if ((wrong = as_bank(taps, job)))
        return wrong;
    const Py_buffer *mix = &buffers[COLUMNS];
    struct samples target = job->target;
    target.channels = mix->obj ? taps->shape[0] : target.channels; /* what the first step of a pair makes */
    ptrdiff_t shape[] = {job->alone ? taps->shape[0] : target.channels, job->channels, job->deep, job->high, job->wide};
    if ((wrong = objection(window, &target, shape)))
        return wrong;
    job->groups = window->source.channels / job->channels, job->filters = target.channels / job->groups;
    if (!job->alone && (job->groups != taps->shape[0] || parts(job->filters, job->kernels->lanes) != job->vectors))
        return "the taps are not those of the filters";
    ptrdiff_t vectors = parts(job->target.channels, job->kernels->lanes);
    if (mix->obj && (!job->alone || !is_taps(mix, 4) || mix->shape[0] != 1 || mix->shape[1] != vectors ||
                     mix->shape[2] != target.channels || mix->shape[3] != job->kernels->lanes))
        return "a mix is float32 (1, vectors, filters, lanes), of filters that are not packed";
    job->mix = mix->obj ? mix->buf : NULL;
    if (window->step != 1 || job->stretch < 1)
        return "only for single samples";
    if (job->target.column_step != sizeof(float) || job->target.channel_step % (ptrdiff_t)sizeof(float))
        return "columns of the target lie side by side";
    return NULL;
}

#include "call.h"
#include "module.h"

static PyObject *correlate(PyObject *module, PyObject *args)
{
    PyObject *objects[READS], *axes;
    struct job job = {.window.step = 1};
    (void)module;
    if (!PyArg_ParseTuple(args, "OO(nnnn)OOOO!nni", &objects[SOURCE], &objects[TAPS], &job.channels, &job.deep, &job.high,
                          &job.wide, &objects[TARGET], &objects[COLUMNS], &objects[TEAM], &PyTuple_Type, &axes, &job.window.step,
                          &job.stretch, &job.instructions))
        return NULL;
    int unusual = carry_out(objects, axes, &job);
    return unusual < 0 ? NULL : PyBool_FromLong(!unusual);
}

static PyMethodDef METHODS[] = {
    {"correlate", correlate, METH_VARARGS,
     "correlate(source, taps, (channels, deep, high, wide), target, mix, team, axes, step, stretch, instructions) -> whether all is finite"},
    {NULL, NULL, 0, NULL},
};

/* LANES: floats of a vector, for each of the instructions. */
static int add_lanes(PyObject *module)
{
    int count = supported();
    PyObject *lanes = PyTuple_New(count);
    for (int i = 0; lanes && i < count; i++)
        PyTuple_SetItem(lanes, i, PyLong_FromSsize_t(INSTRUCTIONS[i].kernels->lanes));
    int result = PyModule_AddObjectRef(module, "LANES", lanes);
    Py_XDECREF(lanes);
    return result;
}

MODULE(_banks, {Py_mod_exec, (void *)add_lanes},)
