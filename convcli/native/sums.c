/* Sums of the pixels in a rectangle times one tap: a box filter, at a price that hardly depends on its size.
 *
 * A sum of k pixels is made of two sums of k / 2 that lie side by side, and of a pixel more where k is odd; these are made
 * likewise. So a row takes some log2 k additions, and nothing is ever taken away again: a bright pixel, a NaN or an infinity
 * is lost with the window that it leaves, every sum runs in the same order wherever its window lies, and log2 k roundings are
 * all that a sum suffers. Down the columns rows are joined in the same way as they come, each length in a ring of its own.
 *
 * Integers of 8 and 16 bits are summed as such, without rounding: there a window moves down its column by what enters it and
 * what leaves it. Wherever these sums are exact in floating point, too, both ways give the same bits.
 *
 * The loops over samples are in sums.h, compiled for each instruction set. This file cuts the image into strips of columns,
 * so narrow that what they keep stays in a second-level cache.
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
#error "needs the vectors of GCC or Clang; convcli works without this module"
#endif
#if FLT_EVAL_METHOD != 0
#error "needs float arithmetic in single precision; convcli works without this module"
#endif

/* name, C type, letter in the buffer protocol, lowest and highest number, and whether it is an integer. */
#define SAMPLES(X) \
    X(uint8, uint8_t, 'B', 0.0, 255.0, 1) \
    X(uint16, uint16_t, 'H', 0.0, 65535.0, 1) \
    X(int16, int16_t, 'h', -32768.0, 32767.0, 1) \
    X(float32, float, 'f', -FLT_MAX, FLT_MAX, 0) \
    X(int8, int8_t, 'b', -128.0, 127.0, 1) \
    X(uint32, uint32_t, 'I', 0.0, 4294967295.0, 1) \
    X(int32, int32_t, 'i', -2147483648.0, 2147483647.0, 1) \
    X(float64, double, 'd', -DBL_MAX, DBL_MAX, 0)
enum { OF_UINT8, OF_UINT16, OF_INT16, OF_FLOAT32, OF_INT8, OF_UINT32, OF_INT32, OF_FLOAT64 }; /* Windows has types without OF_ */

/* name of what sums are made in, its C type, and the number that it stands for. */
#define TOTALS(X) X(short, uint16_t, uint16_t) X(long, uint32_t, int32_t) X(float, float, float) X(double, double, double)
enum { SHORT, LONG, FLOAT, DOUBLE, TOTAL_KINDS };
static const ptrdiff_t TOTAL_SIZE[] = {2, 4, 4, 8};

/* Integers that are summed as such: name and type of a sample, and of its sums. */
#define SLIDES(X) \
    X(uint8, uint8_t, short, uint16_t) X(uint8, uint8_t, long, uint32_t) X(uint16, uint16_t, long, uint32_t) \
    X(int16, int16_t, long, uint32_t)
enum { UINT8_SHORT, UINT8_LONG, UINT16_LONG, INT16_LONG, SLIDE_KINDS };

/* Sums of integers that become samples at once, of one byte or of a pair. */
enum { SHORT_UINT8, LONG_UINT8, PRECISE_UINT8, LONG_PAIR, PRECISE_PAIR, FINISH_KINDS };

#define SUM double

#include "lines.h"
#include "window.h"

enum {
    CACHE = 256 * 1024, /* bytes that a strip keeps: half of a second-level cache */
    NARROWEST = 512,    /* samples of a strip, */
    WIDEST = 4096,
    SHARE = 4,          /* strips and bands for each thread of a team */
    TALL = 8,           /* windows that a band is high at least: each begins anew */
    LINE = 64,          /* bytes of a line of the cache */
    PAGE = 4096,        /* bytes from which on addresses look alike to a processor that compares what is read and written, */
    APART = 45 * LINE,  /* and those that rows are apart besides */
    MOST_STEPS = 32,    /* joints of a sum: its length is below 2^31 */
    FEW = 64,           /* pixels whose mean float32 rounds right: it is off by 1/128 at most, and a tie is further away */
    FEW_STEPS = 4,      /* joints from which on integers slide along rows, too */
    TOGETHER = 8,       /* rows that are joined along, and then down parts of their columns */
    PART = 24 * 1024,   /* bytes that such a part keeps: most of a first-level cache; */
    LEAST_PART = 256,   /* and its columns */
};

struct counts {
    long long below, above, nan;
};

typedef void join(void *restrict to, const void *left, const void *right, const void *more, ptrdiff_t count);
typedef void weigh(void *restrict to, const void *from, ptrdiff_t count, double tap);
typedef void slide(void *restrict columns, const void *entering, const void *leaving, const char *const ahead[2], ptrdiff_t count);
typedef void finish(void *restrict to, const void *from, ptrdiff_t count, double tap);
typedef void along(void *restrict to, const void *from, ptrdiff_t taps, ptrdiff_t step, ptrdiff_t count);

/* Rows of a length whose sums a new row makes: they are those of `first` and `second`, the newest where that is NULL, and go
 * `to` the rows of the next level, if there is one. Spans are bytes from one part of the columns to the next. */
struct level {
    const char *first, *second;
    char *to;
    ptrdiff_t span, next_span;
};
typedef int descend(const struct level *levels, ptrdiff_t count, const void *newest, void *out, ptrdiff_t columns,
                    ptrdiff_t part, double tap);
typedef void narrow(char *to, ptrdiff_t to_step, void *values, ptrdiff_t count, struct counts *counts);

/* What sums.h makes for an instruction set; of two, the one of float and that of double. */
struct kernels {
    join *join[TOTAL_KINDS];
    weigh *weigh[TOTAL_KINDS][2];
    slide *slide[SLIDE_KINDS];
    void (*extend)(uint32_t *restrict to, const uint16_t *from, ptrdiff_t count);
    finish *finish[FINISH_KINDS];
    along *along[2];
    descend *descend[2];
    convert *widen[KINDS][2];
    narrow *narrow[KINDS][2];
};

#define LOOPS "sums.h"
#define WITH_AVX512
#include "instructions.h"

/* How a sum of some pixels is joined: a part of `length` with the next one, and with a pixel beside them if it is `odd`. */
struct joint {
    ptrdiff_t length;
    int odd;
};

struct chain {
    ptrdiff_t taps, count;
    struct joint joints[MOST_STEPS];
};

struct job {
    struct window window;
    struct samples target;
    struct team team;
    struct counts counts;
    int instructions, precise; /* precise: results are rounded from float64 */
    double tap, scale, bias;
    struct chain down, along;

    const struct kernels *kernels;
    int whole;                /* pixels are summed as the integers that they are */
    int in_place;             /* they are read where they lie */
    int columns, total;       /* what sums down the columns are made in, and sums of all */
    slide *slide;
    along *slide_along;       /* NULL where sums are joined along rows */
    finish *finish;           /* NULL where results are scaled, clipped or converted */
    int straight;             /* whether numbers go to the target where they are made */
    ptrdiff_t part, spans[MOST_STEPS]; /* samples of a part of a strip, and bytes that each level keeps of it */
    convert *convert;         /* a source's pixels to what is summed */
    ptrdiff_t unit;           /* bytes of that */
    char outside[3][sizeof(double)]; /* what stands beyond slices, rows and columns, as such */
    ptrdiff_t halo;           /* samples that a row of outputs reads beyond its own */
    ptrdiff_t strip, slot;    /* samples of outputs in a strip, at most, and bytes of a row in memory */
    ptrdiff_t strips, bands;  /* of a slice */
    char *memory, *rows[3], *sums[2], *down_sums, *longer, *joined, *values;
    char *rings[MOST_STEPS]; /* of sums of each length but the last */
};

/* A strip of outputs: their columns, and rows of a slice. */
struct strip {
    ptrdiff_t slice, first, columns, top, rows;
};

/* Where part `i` of `count` almost equal parts begins. */
static ptrdiff_t begin(ptrdiff_t whole, ptrdiff_t count, ptrdiff_t i)
{
    return whole / count * i + smaller(whole % count, i);
}

/* Whether the samples of rows lie side by side, at addresses that are their own. */
static int lies_side_by_side(const struct samples *samples, ptrdiff_t size)
{
    uintptr_t places = (uintptr_t)samples->data | (uintptr_t)samples->row_step | (uintptr_t)samples->slice_step;
    return samples->column_step == size && places % (uintptr_t)size == 0;
}

/* The bits of its length behind the first one say how a sum is joined. */
static void find_chain(struct chain *chain, ptrdiff_t taps)
{
    int bit = 0;
    while (taps >> bit > 1)
        bit++;
    chain->taps = taps, chain->count = 0;
    for (ptrdiff_t length = 1; bit--; length = 2 * length + (taps >> bit & 1))
        chain->joints[chain->count++] = (struct joint){length, taps >> bit & 1};
}

/* Some samples of a row of the window, from a strip's first one on, as what is summed: where they lie, or else in `to`. */
static const char *find_samples(const struct job *job, const struct strip *strip, ptrdiff_t row, ptrdiff_t count, char *to)
{
    const struct window *window = &job->window;
    const struct axis *x = &window->x;
    ptrdiff_t step = window->step, position = strip->first / step, last = position + count / step, unit = job->unit, done;
    const SUM *filler;
    const char *from = find_row(window, 0, strip->slice * window->z.stride, row, &filler), *start = to;
    if (from && job->in_place && position >= x->first && last <= x->last)
        return from + reach_pixel(window, position, 0);
    for (; position < last; position += done, to += done * step * unit) {
        ptrdiff_t pixel = pixel_at(x, position), apart = window->source.column_step;
        done = 1;
        if (from && position >= x->first && position < x->last) {
            done = smaller(last, x->last) - position;
            job->convert(to, unit, from + reach_pixel(window, position, 0), apart, done * step);
        } else if (from && pixel != BEYOND)
            job->convert(to, unit, from + pixel * step * apart, apart, step);
        else
            for (ptrdiff_t s = 0; s < step; s++)
                memcpy(to + s * unit, job->outside[pixel == BEYOND ? 2 : filler - window->outside], (size_t)unit);
    }
    return start;
}

/* Sums of a row: `count` of them, from as many samples and the halo, to `to`; or the samples, where there is nothing to sum. */
static const char *join_along(const struct job *job, const char *samples, ptrdiff_t count, char *to)
{
    const struct chain *chain = &job->along;
    ptrdiff_t size = TOTAL_SIZE[job->total], step = job->window.step;
    const char *from = samples;
    for (ptrdiff_t i = 0; i < chain->count; i++) {
        ptrdiff_t next = chain->joints[i].length, both = 2 * next + chain->joints[i].odd;
        char *sums = i + 1 == chain->count ? to : job->sums[i % 2];
        job->kernels->join[job->total](sums, from, from + next * step * size,
                                       chain->joints[i].odd ? samples + 2 * next * step * size : NULL,
                                       count + (chain->taps - both) * step);
        from = sums;
    }
    return from;
}

/* Where a row of results lies. */
static char *find_results(const struct job *job, const struct strip *strip, ptrdiff_t row)
{
    const struct samples *target = &job->target;
    return target->data + strip->slice * target->slice_step + row * target->row_step + strip->first * target->column_step;
}

/* A row of results of sums, times a tap. */
static void put(const struct job *job, const struct strip *strip, ptrdiff_t row, const char *sums, double tap,
                struct counts *counts)
{
    char *to = find_results(job, strip, row);
    if (job->finish) {
        job->finish(to, sums, strip->columns, tap);
        return;
    }
    job->kernels->weigh[job->total][job->precise](job->values, sums, strip->columns, tap);
    if ((job->scale != 1 || job->bias != 0) && job->precise) {
        double *values = (double *)job->values;
        for (ptrdiff_t i = 0; i < strip->columns; i++)
            values[i] = values[i] * job->scale + job->bias;
    } else if (job->scale != 1 || job->bias != 0) {
        float *values = (float *)job->values, scale = (float)job->scale, bias = (float)job->bias;
        for (ptrdiff_t i = 0; i < strip->columns; i++)
            values[i] = values[i] * scale + bias;
    }
    job->kernels->narrow[job->target.type][job->precise](to, job->target.column_step, job->values, strip->columns, counts);
}

/* The same of sums down the columns, of integers. */
static const char *join_whole(const struct job *job, const char *columns, ptrdiff_t count)
{
    if (job->slide_along) {
        job->slide_along(job->joined, columns, job->along.taps, job->window.step, count);
        return job->joined;
    }
    if (job->columns != job->total) {
        job->kernels->extend((uint32_t *)job->longer, (const uint16_t *)columns, count + job->halo);
        columns = job->longer;
    }
    return join_along(job, columns, count, job->joined);
}

/* Move the sums of a strip's columns on by a row: one enters, one leaves unless there is none yet, and results go to `out`. What
 * lies beside the longest stretch of pixels that follow each other is copied first, and not what lies in it. */
static void slide_row(const struct job *job, const struct strip *strip, ptrdiff_t entering, ptrdiff_t leaving, const char *out)
{
    const struct axis *x = &job->window.x;
    ptrdiff_t step = job->window.step, next, done = 0;
    struct strip piece = *strip;
    for (ptrdiff_t left = strip->columns + job->halo; left; left -= next, done += next, piece.first += next) {
        ptrdiff_t begin = x->first * step, end = x->last * step, at = piece.first;
        next = !job->in_place || at >= end ? left : smaller(left, (at < begin ? begin : end) - at);
        const char *enters = find_samples(job, &piece, entering, next, job->rows[0]), *leaves = job->rows[1];
        if (leaving != BEYOND)
            leaves = find_samples(job, &piece, leaving, next, job->rows[2]);
        ptrdiff_t down = job->in_place ? job->window.source.row_step : 0;
        const char *ahead[] = {enters + down, out ? out + done * job->unit : enters};
        job->slide(job->down_sums + done * TOTAL_SIZE[job->columns], enters, leaves, ahead, next);
    }
}

/* A strip of integers: first down the columns, which need no memory of rows, then along the sums. */
static void run_whole(const struct job *job, const struct strip *strip, struct counts *counts)
{
    ptrdiff_t read = strip->columns + job->halo, high = job->down.taps, first = strip->top;
    memset(job->down_sums, 0, (size_t)job->slot);
    memset(job->rows[1], 0, (size_t)(read * job->unit)); /* what leaves at first */
    for (ptrdiff_t row = first; row < first + high - 1; row++)
        slide_row(job, strip, row, BEYOND, NULL);
    for (ptrdiff_t row = first; row < first + strip->rows; row++) {
        slide_row(job, strip, row + high - 1, row > first ? row - 1 : BEYOND, find_results(job, strip, row));
        put(job, strip, row, join_whole(job, job->down_sums, strip->columns), job->tap, counts);
    }
}

/* Where the sums of a level of rows from `row` on are kept, of the first part of a strip. */
static char *in_ring(const struct job *job, ptrdiff_t level, ptrdiff_t row)
{
    const struct joint *joint = &job->down.joints[level];
    ptrdiff_t depth = level ? joint->length + joint->odd + 1 : TOGETHER + 2;
    return job->rings[level] + row % depth * (level ? job->spans[level] / depth : job->slot);
}

/* The levels that a row adds sums to; how many. */
static ptrdiff_t find_levels(const struct job *job, ptrdiff_t row, struct level *levels)
{
    const struct chain *chain = &job->down;
    for (ptrdiff_t i = 0; i < chain->count; i++) {
        const struct joint *joint = &chain->joints[i];
        ptrdiff_t first = row + 1 - 2 * joint->length - joint->odd, last = i + 1 == chain->count;
        if (first < 0)
            return i;
        levels[i].first = in_ring(job, i, first), levels[i].span = job->spans[i];
        levels[i].second = joint->odd ? in_ring(job, i, first + joint->length) : NULL;
        levels[i].to = last ? NULL : in_ring(job, i + 1, first), levels[i].next_span = last ? 0 : job->spans[i + 1];
    }
    return chain->count;
}

/* What a row of the window adds: its sums along, and the levels that they are joined to. */
struct added {
    char *newest;
    ptrdiff_t count;
    struct level levels[MOST_STEPS];
};

/* The results of a row of the window in a part of a strip; sums that are not finite are looked at again, to be counted. */
static void put_part(const struct job *job, const struct strip *part, ptrdiff_t number, ptrdiff_t row,
                     const struct added *added, struct counts *counts)
{
    ptrdiff_t result = row + 1 - job->down.taps, offset = number * job->part * job->unit;
    char *out = job->straight ? find_results(job, part, part->top + result) : job->down_sums;
    int unusual = job->kernels->descend[job->precise](added->levels, added->count, added->newest + offset,
                                                      result < 0 ? NULL : out, part->columns, number,
                                                      job->straight ? job->tap : 1);
    if (result >= 0 && (!job->straight || unusual)) {
        memcpy(job->joined, out, (size_t)(part->columns * job->unit));
        put(job, part, part->top + result, job->joined, job->straight ? 1 : job->tap, counts);
    }
}

/* Rows of a strip of numbers: first along all of them, then down the sums, by parts that stay in a first-level cache. */
static void run_rows(const struct job *job, const struct strip *strip, ptrdiff_t first, ptrdiff_t last, struct counts *counts)
{
    struct added added[TOGETHER];
    for (ptrdiff_t row = first; row < last; row++) {
        struct added *here = &added[row - first];
        const char *samples = find_samples(job, strip, strip->top + row, strip->columns + job->halo, job->rows[0]);
        here->newest = in_ring(job, 0, row), here->count = find_levels(job, row, here->levels);
        if (join_along(job, samples, strip->columns, here->newest) == samples)
            memcpy(here->newest, samples, (size_t)(strip->columns * job->unit));
    }
    for (ptrdiff_t x = 0; x < strip->columns; x += job->part) {
        ptrdiff_t columns = smaller(job->part, strip->columns - x);
        struct strip part = {strip->slice, strip->first + x, columns, strip->top, strip->rows};
        for (ptrdiff_t row = first; row < last; row++)
            put_part(job, &part, x / job->part, row, &added[row - first], counts);
    }
}

/* A strip of numbers. */
static void run_real(const struct job *job, const struct strip *strip, struct counts *counts)
{
    ptrdiff_t rows = strip->rows + job->down.taps - 1;
    for (ptrdiff_t row = 0; row < rows; row += TOGETHER)
        run_rows(job, strip, row, smaller(row + TOGETHER, rows), counts);
}

/* Samples as they are. */
#define COPY(name, size) \
    static void name(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step, ptrdiff_t count) \
    { \
        if (to_step == (size) && from_step == (size)) \
            memcpy(to, from, (size_t)(count * (size))); \
        else \
            for (ptrdiff_t i = 0; i < count; i++) \
                memcpy(to + i * to_step, from + i * from_step, (size)); \
    }
COPY(copy_bytes, 1)
COPY(copy_pairs, 2)
#undef COPY

/* What stands beyond an axis, as a sample of an integer type. False where that is none. */
static int store_whole(double value, int type, char *to)
{
    double lowest = type == OF_INT16 ? -32768 : 0, highest = type == OF_UINT8 ? 255 : type == OF_UINT16 ? 65535 : 32767;
    if (!(value >= lowest && value <= highest) || value != floor(value))
        return 0;
    uint16_t number = (uint16_t)(int32_t)value;
    uint8_t byte = (uint8_t)number;
    memcpy(to, type == OF_UINT8 ? (void *)&byte : (void *)&number, type == OF_UINT8 ? 1 : 2);
    return 1;
}

/* Whether pixels are summed as the integers that they are: all sums fit, and are exact as the numbers that they become. */
static int sums_whole(struct job *job)
{
    int type = job->window.source.type;
    double most = type == OF_UINT8 ? 255 : type == OF_INT16 ? 32768 : 65535, area = (double)job->down.taps * (double)job->along.taps;
    const struct axis *axes[] = {&job->window.z, &job->window.y, &job->window.x};
    if (type != OF_UINT8 && type != OF_UINT16 && type != OF_INT16)
        return 0;
    if (most * area > (job->precise ? 2147483647.0 : 16777216.0))
        return 0;
    for (int i = 0; i < 3; i++)
        if (!store_whole(axes[i]->outside, type, job->outside[i]) && meets_outside(axes[i]))
            return 0;
    int brief = type == OF_UINT8 && !job->precise && job->down.taps <= 257;
    int slides = job->along.count >= FEW_STEPS && (job->window.step == 1 || job->window.step == 3 || job->window.step == 4);
    job->columns = brief ? SHORT : LONG, job->total = brief && area <= 257 && !slides ? SHORT : LONG;
    job->slide_along = slides ? job->kernels->along[job->columns] : NULL;
    job->slide = job->kernels->slide[type == OF_UINT16  ? UINT16_LONG
                                     : type == OF_INT16 ? INT16_LONG
                                     : brief         ? UINT8_SHORT
                                                     : UINT8_LONG];
    job->convert = type == OF_UINT8 ? copy_bytes : copy_pairs, job->unit = type == OF_UINT8 ? 1 : 2;
    return 1;
}

/* Whether float32 rounds sums of 16 bits as float64 does: all are exact in it, and products are, too, or no tie is near. */
static int rounds_alike(const struct job *job)
{
    if (job->tap * 256 < 1 || job->down.taps * job->along.taps > 256)
        return 0;
    int count = (int)(1 / job->tap + 0.5);
    return job->tap == 1.0 / count && (count % 2 ? count < FEW : (count & (count - 1)) == 0);
}

/* How sums become samples at once, where these lie side by side, are those that were read, and cannot be beyond their type. */
static finish *find_finish(const struct job *job)
{
    int type = job->target.type, kind = FINISH_KINDS;
    double gain = job->tap * (double)job->down.taps * (double)job->along.taps;
    if (!job->straight || !job->whole || job->window.source.type != type || !(gain >= 0 && gain < 1 + 1e-6))
        return NULL; /* within these, 65535 becomes less than 65535.5 */
    if (type == OF_UINT8 && !job->precise)
        kind = job->total == SHORT ? SHORT_UINT8 : LONG_UINT8;
    else if (job->precise)
        kind = type == OF_UINT8 ? PRECISE_UINT8 : rounds_alike(job) ? LONG_PAIR : PRECISE_PAIR;
    return kind < FINISH_KINDS ? job->kernels->finish[kind] : NULL;
}

/* Decide what pixels are summed as, and how the work is cut. */
static void lay_out(struct job *job)
{
    const struct samples *source = &job->window.source, *target = &job->target;
    ptrdiff_t step = job->window.step, high = job->down.taps, pixels = target->columns / step;
    job->kernels = INSTRUCTIONS[job->instructions].kernels;
    job->halo = (job->along.taps - 1) * step;
    job->whole = sums_whole(job);
    if (!job->whole) {
        job->total = job->columns = job->precise ? DOUBLE : FLOAT, job->unit = TOTAL_SIZE[job->total];
        job->convert = job->kernels->widen[source->type][job->precise];
        for (int i = 0; i < 3; i++) {
            double value = job->window.outside[i];
            float rounded = (float)value;
            memcpy(job->outside[i], job->precise ? (void *)&value : (void *)&rounded, (size_t)job->unit);
        }
    }
    int alike = job->whole || source->type == (job->precise ? OF_FLOAT64 : OF_FLOAT32);
    job->in_place = alike && lies_side_by_side(source, job->unit);
    job->straight = job->scale == 1 && job->bias == 0 && lies_side_by_side(target, TYPES[target->type].size) &&
                    (job->whole || target->type == (job->precise ? OF_FLOAT64 : OF_FLOAT32));
    job->finish = find_finish(job);
    ptrdiff_t kept = job->whole ? high * job->unit + 4 * TOTAL_SIZE[job->total] : (high + 2 * TOGETHER) * job->unit;
    job->strip = smaller(larger(larger(CACHE / kept, NARROWEST), 2 * job->halo), WIDEST);
    job->strips = parts(pixels, larger(job->strip / step, 1));
    job->strip = parts(pixels, job->strips) * step;
    job->slot = parts((job->strip + job->halo) * TOTAL_SIZE[job->total], LINE) * LINE + LINE;
    job->part = larger(PART / job->unit / (high + 2 * TOGETHER), LEAST_PART);
    job->part = smaller(parts(job->strip, parts(job->strip, job->part) * LINE) * LINE, job->strip);
    job->bands = smaller(parts(SHARE * job->team.size, job->strips * target->slices), target->rows / (TALL * high));
    job->bands = job->team.size > 1 ? larger(job->bands, 1) : 1;
}

/* Memory for all rows. False without. */
static int find_room(struct job *job)
{
    char **rows[] = {&job->rows[0],   &job->rows[1], &job->rows[2], &job->sums[0], &job->sums[1],
                     &job->down_sums, &job->longer,  &job->joined,  &job->values};
    ptrdiff_t wide = larger(job->slot, parts(job->strip * (ptrdiff_t)sizeof(double), LINE) * LINE + LINE);
    wide = parts(wide, PAGE) * PAGE + APART; /* what is written does not fall on the lines of what is read next */
    ptrdiff_t count = sizeof rows / sizeof *rows, across = parts(job->strip, job->part), total = count * wide;
    ptrdiff_t sizes[MOST_STEPS];
    for (ptrdiff_t i = 0; i < larger(job->down.count, 1); i++) {
        const struct joint *joint = &job->down.joints[i];
        ptrdiff_t depth = joint->length + joint->odd + 1, row = parts(job->part * job->unit, LINE) * LINE + LINE;
        job->spans[i] = i ? depth * row : job->part * job->unit;
        sizes[i] = i ? across * job->spans[i] : (TOGETHER + 2) * job->slot;
        total += job->whole ? 0 : sizes[i];
    }
    char *next = job->memory = take_lines((size_t)total);
    for (ptrdiff_t i = 0; next && i < count; i++, next += wide)
        *rows[i] = next;
    for (ptrdiff_t i = 0; next && !job->whole && i < larger(job->down.count, 1); next += sizes[i++])
        job->rings[i] = next;
    return next != NULL;
}

/* Strips beside each other, then bands below each other, then slices, as threads take them. -1 without memory. */
static int run(struct job *job)
{
    lay_out(job);
    if (!find_room(job))
        return -1;
    ptrdiff_t step = job->window.step, pixels = job->target.columns / step, rows = job->target.rows;
    ptrdiff_t count = job->target.slices * job->bands * job->strips, number;
    while ((number = __atomic_fetch_add(job->team.next, 1, __ATOMIC_RELAXED)) < count) {
        ptrdiff_t i = number % job->strips, band = number / job->strips % job->bands;
        ptrdiff_t first = begin(pixels, job->strips, i) * step, last = begin(pixels, job->strips, i + 1) * step;
        ptrdiff_t top = begin(rows, job->bands, band), bottom = begin(rows, job->bands, band + 1);
        struct strip strip = {number / job->strips / job->bands, first, last - first, top, bottom - top};
        (job->whole ? run_whole : run_real)(job, &strip, &job->counts);
    }
    give_lines(job->memory);
    return 0;
}

/* Make a job of what Python handed in. NULL, or what is wrong. */
static const char *understand(const Py_buffer *buffers, struct job *job)
{
    const Py_buffer *tap = &buffers[TAPS];
    const ptrdiff_t shape[] = {job->target.channels, 1, 1, job->down.taps, job->along.taps};
    if (tap->len != sizeof job->tap || strcmp(tap->format, "d"))
        return "the tap of all pixels is one float64";
    if (job->instructions < 0 || job->instructions >= supported())
        return "this processor does not have these instructions";
    if (job->target.channels != 1 || job->down.taps < 1 || job->along.taps < 1 || job->down.taps > INT32_MAX ||
        job->along.taps > INT32_MAX)
        return "pixels are summed in rectangles, of one channel";
    memcpy(&job->tap, tap->buf, sizeof job->tap);
    if (!job->precise && (job->window.source.type > OF_FLOAT32 || job->target.type > OF_FLOAT32))
        return "sums of float32 are of samples, and become samples, that it holds";
    find_chain(&job->down, job->down.taps), find_chain(&job->along, job->along.taps);
    const char *wrong = objection(&job->window, &job->target, shape);
    if (!wrong && (job->window.y.stride > 1 || job->window.x.stride > 1 || job->window.y.dilation > 1 || job->window.x.dilation > 1))
        return "pixels that are summed lie side by side, and so do the sums";
    return wrong;
}

#include "call.h"
#include "module.h"

static PyObject *sum(PyObject *module, PyObject *args)
{
    PyObject *objects[READS] = {[COLUMNS] = Py_None}, *axes;
    struct job job = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOO(nn)O!nddpi", &objects[SOURCE], &objects[TAPS], &objects[TARGET], &objects[TEAM],
                          &job.down.taps, &job.along.taps, &PyTuple_Type, &axes, &job.window.step, &job.scale, &job.bias,
                          &job.precise, &job.instructions))
        return NULL;
    int failed = carry_out(objects, axes, &job);
    return failed ? NULL : Py_BuildValue("LLL", job.counts.below, job.counts.above, job.counts.nan);
}

static PyMethodDef METHODS[] = {
    {"sum", sum, METH_VARARGS,
     "sum(source, tap, target, team, (rows, columns), axes, step, scale, bias, precise, instructions) -> (below, above, nan)"},
    {NULL, NULL, 0, NULL},
};

MODULE(_sums)
