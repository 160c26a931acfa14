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
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__GNUC__)
#error "GCC or Clang"
#endif

#include "versions.h"

enum { LANES = 8, MARGIN = 2 * LANES, LONGEST = 1024 };
typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
typedef float loose __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float))));

/* One point of eight lines. */
struct point {
    vector re, im;
};

/* cos and -sin of 2 pi k / length. */
struct turn {
    float re, im;
};

/* Lengths of a tile, the turns of both, the spectrum of a kernel, and memory: a buffer for eight lines, and the tile
 * between its passes, column by column with a margin, so that neighbours do not fall into one set of the cache. */
struct tile {
    ptrdiff_t rows, columns, pitch;
    struct turn *row_turns, *column_turns;
    struct point *spectrum, *line;
    float *re, *im;
};

/* Pixels whose columns lie side by side. */
struct plane {
    char *data;
    ptrdiff_t rows, columns, step;
};

/* What a tile was seen to hold: the sum of its squared pixels, the largest pixel and the smallest result without their
 * signs, lane by lane. Floats without signs are ordered as their bits are. */
typedef int32_t bits __attribute__((vector_size(LANES * sizeof(int32_t))));
struct seen {
    vector energy;
    bits largest, smallest;
};
enum { NO_SIGN = 0x7fffffff };

INLINE bits larger_bits(bits a, bits b)
{
    bits more = a > b;
    return (a & more) | (b & ~more);
}

INLINE bits smaller_bits(bits a, bits b)
{
    bits less = a < b;
    return (a & less) | (b & ~less);
}

INLINE struct point turned(struct point p, struct turn by)
{
    return (struct point){p.re * by.re - p.im * by.im, p.re * by.im + p.im * by.re};
}

INLINE struct point turned_back(struct point p, struct turn by)
{
    return (struct point){p.re * by.re + p.im * by.im, p.im * by.re - p.re * by.im};
}

INLINE struct point sum(struct point p, struct point q) { return (struct point){p.re + q.re, p.im + q.im}; }

INLINE struct point difference(struct point p, struct point q) { return (struct point){p.re - q.re, p.im - q.im}; }

/* The forward transform of eight lines, in place; results in the order of reversed digits. */
INLINE void forward(struct point *x, ptrdiff_t count, const struct turn *turns)
{
    ptrdiff_t length = count;
    for (; length >= 4; length /= 4) {
        ptrdiff_t quarter = length / 4, step = count / length;
        for (ptrdiff_t first = 0; first < count; first += length) {
            struct point *a = x + first, *b = a + quarter, *c = b + quarter, *d = c + quarter;
            for (ptrdiff_t j = 0; j < quarter; j++) {
                struct point even = sum(a[j], c[j]), odd = difference(a[j], c[j]);
                struct point other = sum(b[j], d[j]), rest = difference(b[j], d[j]);
                struct point quarter_turn = {rest.im, -rest.re};
                a[j] = sum(even, other);
                b[j] = turned(sum(odd, quarter_turn), turns[j * step]);
                c[j] = turned(difference(even, other), turns[2 * j * step]);
                d[j] = turned(difference(odd, quarter_turn), turns[3 * j * step]);
            }
        }
    }
    for (ptrdiff_t first = 0; length == 2 && first < count; first += 2) {
        struct point a = x[first], b = x[first + 1];
        x[first] = sum(a, b);
        x[first + 1] = difference(a, b);
    }
}

/* The inverse, from reversed digits to natural order; `count` times too large. */
INLINE void backward(struct point *x, ptrdiff_t count, const struct turn *turns)
{
    ptrdiff_t length = 4;
    for (ptrdiff_t rest = count; rest > 1; rest /= 4)
        if (rest == 2)
            length = 2;
    for (ptrdiff_t first = 0; length == 2 && first < count; first += 2) {
        struct point a = x[first], b = x[first + 1];
        x[first] = sum(a, b);
        x[first + 1] = difference(a, b);
    }
    for (length *= length == 2 ? 4 : 1; length <= count; length *= 4) {
        ptrdiff_t quarter = length / 4, step = count / length;
        for (ptrdiff_t first = 0; first < count; first += length) {
            struct point *a = x + first, *b = a + quarter, *c = b + quarter, *d = c + quarter;
            for (ptrdiff_t j = 0; j < quarter; j++) {
                struct point q = turned_back(b[j], turns[j * step]), r = turned_back(c[j], turns[2 * j * step]);
                struct point s = turned_back(d[j], turns[3 * j * step]);
                struct point even = sum(a[j], r), odd = difference(a[j], r);
                struct point other = sum(q, s), rest = difference(q, s);
                struct point quarter_turn = {-rest.im, rest.re};
                a[j] = sum(even, other);
                b[j] = sum(odd, quarter_turn);
                c[j] = difference(even, other);
                d[j] = difference(odd, quarter_turn);
            }
        }
    }
}

/* An 8x8 block of floats to its transpose. */
INLINE void transpose(vector v[LANES])
{
    vector t[LANES], u[LANES];
    for (int i = 0; i < LANES; i += 2) {
        t[i] = __builtin_shufflevector(v[i], v[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        t[i + 1] = __builtin_shufflevector(v[i], v[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < LANES; i += 4)
        for (int j = 0; j < 2; j++) {
            u[i + j] = __builtin_shufflevector(t[i + j], t[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            u[i + j + 2] = __builtin_shufflevector(t[i + j], t[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; i++) {
        v[i] = __builtin_shufflevector(u[i], u[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        v[i + 4] = __builtin_shufflevector(u[i], u[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* Eight rows of pixels from `row` on as points of eight lines; zeros where there are none. */
INLINE void load_pixels(const struct plane *from, ptrdiff_t row, ptrdiff_t count, struct point *line, int imaginary,
                        struct seen *seen)
{
    static const float none[LANES];
    float edge[LANES][LANES];
    for (ptrdiff_t x = 0; x < count; x += LANES) {
        vector block[LANES];
        ptrdiff_t there = from->columns - x < LANES ? from->columns - x : LANES;
        for (int i = 0; i < LANES; i++) {
            const float *pixels = none;
            if (row + i < from->rows && there > 0)
                pixels = (const float *)(from->data + (row + i) * from->step) + x;
            if (there < LANES && pixels != none) {
                memset(edge[i], 0, sizeof edge[i]);
                memcpy(edge[i], pixels, (size_t)there * sizeof(float));
                pixels = edge[i];
            }
            block[i] = *(const loose *)pixels;
        }
        for (int i = 0; seen && i < LANES; i++) {
            seen->energy += block[i] * block[i];
            seen->largest = larger_bits(seen->largest, (bits)block[i] & NO_SIGN);
        }
        transpose(block);
        for (int i = 0; i < LANES; i++)
            if (imaginary)
                line[x + i].im = block[i];
            else
                line[x + i].re = block[i];
    }
}

/* The other way; what lies outside the plane is dropped. */
INLINE void store_pixels(const struct plane *to, ptrdiff_t row, const struct point *line, int imaginary,
                         struct seen *seen)
{
    int32_t edge[LANES];
    for (ptrdiff_t x = 0; x < to->columns; x += LANES) {
        vector block[LANES];
        ptrdiff_t there = to->columns - x < LANES ? to->columns - x : LANES;
        for (int i = 0; i < LANES; i++)
            block[i] = imaginary ? line[x + i].im : line[x + i].re;
        transpose(block);
        for (int i = 0; i < LANES && row + i < to->rows; i++) {
            float *pixels = (float *)(to->data + (row + i) * to->step) + x;
            bits size = (bits)block[i] & NO_SIGN;
            if (there == LANES)
                *(loose *)pixels = block[i];
            else {
                memcpy(pixels, &block[i], (size_t)there * sizeof(float));
                for (ptrdiff_t j = there; seen && j < LANES; j++)
                    edge[j] = NO_SIGN;
                memcpy(edge, &size, (size_t)there * sizeof *edge), memcpy(&size, edge, sizeof size);
            }
            if (seen)
                seen->smallest = smaller_bits(seen->smallest, size);
        }
    }
}

/* Along the rows: pixels to the tile between passes. `second` may be NULL. */
INLINE void forward_rows(const struct tile *tile, const struct plane *first, const struct plane *second, struct seen *seen)
{
    for (ptrdiff_t y = 0; y < tile->rows; y += LANES) {
        load_pixels(first, y, tile->columns, tile->line, 0, seen);
        if (second)
            load_pixels(second, y, tile->columns, tile->line, 1, seen);
        else
            for (ptrdiff_t x = 0; x < tile->columns; x++)
                tile->line[x].im = (vector){0};
        forward(tile->line, tile->columns, tile->row_turns);
        for (ptrdiff_t x = 0; x < tile->columns; x++) {
            *(loose *)(tile->re + x * tile->pitch + y) = tile->line[x].re;
            *(loose *)(tile->im + x * tile->pitch + y) = tile->line[x].im;
        }
    }
}

INLINE void backward_rows(const struct tile *tile, const struct plane *first, const struct plane *second, struct seen *seen)
{
    ptrdiff_t rows = first->rows > second->rows ? first->rows : second->rows;
    for (ptrdiff_t y = 0; y < rows; y += LANES) {
        for (ptrdiff_t x = 0; x < tile->columns; x++) {
            tile->line[x].re = *(const loose *)(tile->re + x * tile->pitch + y);
            tile->line[x].im = *(const loose *)(tile->im + x * tile->pitch + y);
        }
        backward(tile->line, tile->columns, tile->row_turns);
        store_pixels(first, y, tile->line, 0, seen);
        store_pixels(second, y, tile->line, 1, seen);
    }
}

/* Eight columns of one part of the tile, from `x` on, as points of eight lines, or back. */
INLINE void move_columns(const struct tile *tile, ptrdiff_t x, int imaginary, int back)
{
    float *part = (imaginary ? tile->im : tile->re) + x * tile->pitch;
    for (ptrdiff_t y = 0; y < tile->rows; y += LANES) {
        vector block[LANES];
        for (int i = 0; i < LANES; i++)
            block[i] = !back       ? *(const loose *)(part + i * tile->pitch + y)
                       : imaginary ? tile->line[y + i].im
                                   : tile->line[y + i].re;
        transpose(block);
        for (int i = 0; i < LANES; i++)
            if (back)
                *(loose *)(part + i * tile->pitch + y) = block[i];
            else if (imaginary)
                tile->line[y + i].im = block[i];
            else
                tile->line[y + i].re = block[i];
    }
}

/* Two planes of pixels to two of results: the real and the imaginary part of one transform. */
INLINE void correlate_pair(const struct tile *tile, const struct plane pixels[2], const struct plane results[2],
                                struct seen *seen)
{
    const struct point *spectrum = tile->spectrum;
    forward_rows(tile, pixels, pixels + 1, seen);
    for (ptrdiff_t x = 0; x < tile->columns; x += LANES) {
        move_columns(tile, x, 0, 0);
        move_columns(tile, x, 1, 0);
        forward(tile->line, tile->rows, tile->column_turns);
        for (ptrdiff_t y = 0; y < tile->rows; y++, spectrum++) {
            struct point p = tile->line[y], k = *spectrum;
            tile->line[y] = (struct point){p.re * k.re - p.im * k.im, p.re * k.im + p.im * k.re};
        }
        backward(tile->line, tile->rows, tile->column_turns);
        move_columns(tile, x, 0, 1);
        move_columns(tile, x, 1, 1);
    }
    backward_rows(tile, results, results + 1, seen);
}

INLINE void correlate_tile_body(const struct tile *tile, const struct plane pixels[2], const struct plane results[2])
{
    correlate_pair(tile, pixels, results, NULL);
}

INLINE void watch_tile_body(const struct tile *tile, const struct plane pixels[2], const struct plane results[2],
                            struct seen *seen)
{
    struct seen here = *seen; /* in registers: nothing else is written through it */
    correlate_pair(tile, pixels, results, &here);
    *seen = here;
}

/* The conjugate spectrum of taps, which makes a product a correlation, over the number of points. */
INLINE void find_spectrum_body(const struct tile *tile, const struct plane *taps)
{
    struct point *spectrum = tile->spectrum;
    float scale = (float)(1 / ((double)tile->rows * (double)tile->columns));
    forward_rows(tile, taps, NULL, NULL);
    for (ptrdiff_t x = 0; x < tile->columns; x += LANES) {
        move_columns(tile, x, 0, 0);
        move_columns(tile, x, 1, 0);
        forward(tile->line, tile->rows, tile->column_turns);
        for (ptrdiff_t y = 0; y < tile->rows; y++)
            *spectrum++ = (struct point){tile->line[y].re * scale, tile->line[y].im * -scale};
    }
}

VERSIONS(correlate_tile, (const struct tile *tile, const struct plane pixels[2], const struct plane results[2]),
         (tile, pixels, results))
VERSIONS(watch_tile,
         (const struct tile *tile, const struct plane pixels[2], const struct plane results[2], struct seen *seen),
         (tile, pixels, results, seen))
VERSIONS(find_spectrum, (const struct tile *tile, const struct plane *taps), (tile, taps))

#include "promise.h"

static void find_turns(struct turn *turns, ptrdiff_t length)
{
    for (ptrdiff_t k = 0; k < length; k++) {
        double angle = 6.283185307179586476925287 * (double)k / (double)length;
        turns[k] = (struct turn){(float)cos(angle), (float)-sin(angle)};
    }
}

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

enum { PIXELS, KERNEL, MEMORY, RESULTS, NEAR_KERNEL, TAPS, BUFFERS };

/* A tile in the memory that was handed in. A kernel's begins with the turns of both lengths, its spectrum follows.
 * NULL, or what is wrong. */
static const char *lay_out(const Py_buffer *kernel, const Py_buffer *memory, ptrdiff_t rows, ptrdiff_t columns,
                           struct tile *tile)
{
    ptrdiff_t pitch = rows + MARGIN, longest = rows > columns ? rows : columns;
    for (int i = 0; i < 2; i++) {
        ptrdiff_t length = i ? columns : rows;
        if (length < LANES || length > LONGEST || length & (length - 1))
            return "the lengths of a tile are powers of two from 8 to 1024";
    }
    ptrdiff_t turns = (rows + columns) * (ptrdiff_t)sizeof(struct turn);
    if (kernel->len < turns + rows * columns / LANES * (ptrdiff_t)sizeof(struct point))
        return "a spectrum needs more memory";
    if (memory->len < longest * (ptrdiff_t)sizeof(struct point) + 2 * columns * pitch * (ptrdiff_t)sizeof(float))
        return "a tile needs more memory";
    if ((size_t)kernel->buf % 64 || (size_t)memory->buf % 64)
        return "the memory begins at no multiple of 64 bytes";
    char *start = kernel->buf;
    *tile = (struct tile){.rows = rows, .columns = columns, .pitch = pitch};
    tile->column_turns = (struct turn *)start;
    tile->row_turns = tile->column_turns + rows;
    tile->spectrum = (struct point *)(start + turns);
    tile->line = memory->buf;
    tile->re = (float *)(tile->line + longest);
    tile->im = tile->re + columns * pitch;
    return NULL;
}

/* The rows of a plane from `first` on; the part may be empty. */
static struct plane below(struct plane plane, ptrdiff_t first)
{
    ptrdiff_t rows = plane.rows > first ? plane.rows - first : 0;
    return (struct plane){plane.data + (rows ? first * plane.step : 0), rows, plane.columns, plane.step};
}

static const char *transform_taps(const struct tile *tile, const Py_buffer *buffers)
{
    struct plane taps;
    const char *wrong = as_plane(&buffers[PIXELS], &taps);
    if (wrong)
        return wrong;
    if (taps.rows > tile->rows || taps.columns > tile->columns)
        return "the taps are larger than a tile";
    find_turns(tile->row_turns, tile->columns);
    find_turns(tile->column_turns, tile->rows);
    find_spectrum(tile, &taps);
    return NULL;
}

/* Columns of a plane from `first` on, `most` at the most. */
static struct plane beside(struct plane plane, ptrdiff_t first, ptrdiff_t most)
{
    ptrdiff_t columns = plane.columns > first ? plane.columns - first : 0;
    plane.data += columns ? first * (ptrdiff_t)sizeof(float) : 0;
    plane.columns = columns < most ? columns : most;
    return plane;
}

/* What results are judged with, in the memory behind that of the tile. NULL, or what is wrong. */
static const char *lay_out_watch(const Py_buffer *buffers, const struct tile *tile, struct watch *watch)
{
    ptrdiff_t size = tile->rows * tile->columns, cells = size / (LANES * LANES), step = watch->step ? watch->step : 1;
    const Py_buffer *memory = &buffers[MEMORY];
    char *start = (char *)(tile->im + tile->columns * tile->pitch);
    ptrdiff_t sums = (tile->rows / LANES + 1) * (tile->columns / LANES + 1);
    ptrdiff_t own = 2 * tile->rows * (tile->columns + MARGIN), values = own + 4 * size + 4 * (size / (step * step)), whole = cells_of(watch->wide) * LANES;
    ptrdiff_t more = (values + sums + cells) * (ptrdiff_t)sizeof(float) + 2 * cells * (ptrdiff_t)sizeof(bits) + cells * 10;
    if (start + more > (char *)memory->buf + memory->len)
        return "what results are judged with needs more memory";
    if (buffers[TAPS].len < watch->high * whole * (ptrdiff_t)sizeof(float))
        return "there are too few taps";
    if (watch->high > tile->rows || watch->wide > tile->columns)
        return "the taps are larger than a tile";
    const char *wrong = NULL;
    if (watch->step)
        wrong = lay_out(&buffers[NEAR_KERNEL], memory, tile->rows / step, tile->columns / step, &watch->near);
    watch->taps = buffers[TAPS].buf;
    watch->marks = (bits *)start;
    watch->own = (float *)(watch->marks + 2 * cells);
    watch->pixels = watch->own + own;
    watch->results = watch->pixels + 2 * size;
    watch->blocks = watch->results + 2 * size;
    watch->bounds = watch->blocks + 2 * size / (step * step);
    watch->energies = (double *)(watch->bounds + 2 * size / (step * step));
    watch->sums = (int32_t *)(watch->energies + cells);
    watch->cells = watch->sums + sums;
    watch->wanted = (char *)(watch->cells + cells);
    return wrong;
}

/* Pairs of tiles side by side, each with results of 2 `half` x `wide`; whether each is `settled`, if `watch` says how. */
static const char *filter_pixels(const struct tile *tile, const Py_buffer *buffers, ptrdiff_t half, ptrdiff_t wide,
                                 const struct watch *watch, char *settled)
{
    struct plane pixels[2], results[2];
    const char *wrong = as_plane(&buffers[PIXELS], pixels);
    wrong = wrong ? wrong : as_plane(&buffers[RESULTS], results);
    if (wrong)
        return wrong;
    if (half > tile->rows || wide > tile->columns || results->rows > 2 * half)
        return "the results are larger than pairs of tiles";
    if (watch && (half + watch->high - 1 > tile->rows || wide + watch->wide - 1 > tile->columns))
        return "the results are larger than a tile yields";
    if (watch && (results->rows + watch->high - 1 > pixels->rows || results->columns + watch->wide - 1 > pixels->columns))
        return "the results are larger than the pixels yield";
    pixels[1] = below(pixels[0], half);
    results[1] = below(results[0], half);
    results[0].rows = results[0].rows < half ? results[0].rows : half;
    Py_BEGIN_ALLOW_THREADS
    for (ptrdiff_t x = 0; x < results->columns; x += wide) {
        struct plane from[2] = {beside(pixels[0], x, tile->columns), beside(pixels[1], x, tile->columns)};
        struct plane to[2] = {beside(results[0], x, wide), beside(results[1], x, wide)};
        struct seen seen = {.smallest = (bits){0} + NO_SIGN};
        if (!watch) {
            correlate_tile(tile, from, to);
            continue;
        }
        watch_tile(tile, from, to, &seen);
        *settled++ = (char)settle(tile, &seen, from, to, watch);
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

/* The buffers of a call, checked and used; `half` is 0 for taps. */
static PyObject *called(PyObject *const *objects, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t half, Py_ssize_t wide,
                        struct watch *watch)
{
    Py_buffer buffers[BUFFERS] = {{0}};
    int flags[BUFFERS] = {PyBUF_RECORDS_RO, half ? PyBUF_SIMPLE : PyBUF_WRITABLE, PyBUF_WRITABLE, PyBUF_RECORDS,
                          PyBUF_SIMPLE, PyBUF_SIMPLE};
    const char *wrong = NULL;
    char *settled = NULL;
    struct tile tile;
    PyObject *result = NULL;
    Py_ssize_t pairs = 0;
    int ready = 1;
    for (int i = 0; i < BUFFERS && ready; i++)
        ready = !objects[i] || objects[i] == Py_None || !PyObject_GetBuffer(objects[i], &buffers[i], flags[i]);
    if (ready && watch && buffers[RESULTS].ndim == 2) {
        pairs = (buffers[RESULTS].shape[1] + wide - 1) / wide;
        settled = malloc((size_t)pairs + 1);
        ready = settled || PyErr_NoMemory();
    }
    if (ready) {
        wrong = lay_out(&buffers[KERNEL], &buffers[MEMORY], rows, columns, &tile);
        wrong = wrong || !watch ? wrong : lay_out_watch(buffers, &tile, watch);
        wrong = wrong  ? wrong
                : half ? filter_pixels(&tile, buffers, half, wide, watch, settled)
                       : transform_taps(&tile, buffers);
    }
    if (wrong)
        PyErr_SetString(PyExc_ValueError, wrong);
    else if (ready)
        result = as_list(settled, pairs);
    free(settled);
    for (int i = 0; i < BUFFERS; i++)
        PyBuffer_Release(&buffers[i]);
    return result;
}

static PyObject *spectrum(PyObject *module, PyObject *args)
{
    PyObject *objects[BUFFERS] = {NULL};
    Py_ssize_t rows, columns;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOnn", &objects[PIXELS], &objects[KERNEL], &objects[MEMORY], &rows, &columns))
        return NULL;
    return called(objects, rows, columns, 0, 0, NULL);
}

static PyObject *correlate(PyObject *module, PyObject *args)
{
    PyObject *objects[BUFFERS] = {NULL};
    Py_ssize_t rows, columns, half, wide;
    struct watch watch = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOOnn(nn)|OO(dddd)(ddd)(nnn)(nnn)", &objects[PIXELS], &objects[KERNEL], &objects[MEMORY],
                          &objects[RESULTS], &rows, &columns, &half, &wide, &objects[TAPS], &objects[NEAR_KERNEL],
                          &watch.random, &watch.sum, &watch.norm, &watch.tiny, &watch.left[0], &watch.left[1],
                          &watch.left[2], &watch.few[0], &watch.few[1], &watch.few[2], &watch.high, &watch.wide,
                          &watch.step))
        return NULL;
    if (half < 1 || wide < 1)
        return PyErr_Format(PyExc_ValueError, "a tile of %zd x %zd results", half, wide);
    if (objects[TAPS] && (watch.high < 1 || watch.wide < 1 || watch.high > LONGEST || watch.wide > LONGEST))
        return PyErr_Format(PyExc_ValueError, "a kernel of %zd x %zd", watch.high, watch.wide);
    if (watch.step < 0 || watch.step > 2)
        return PyErr_Format(PyExc_ValueError, "blocks of %zd pixels", watch.step);
    return called(objects, rows, columns, half, wide, objects[TAPS] ? &watch : NULL);
}

static PyMethodDef METHODS[] = {
    {"spectrum", spectrum, METH_VARARGS, "spectrum(taps, spectrum, memory, rows, columns)"},
    {"correlate", correlate, METH_VARARGS, "correlate(pixels, spectrum, memory, results, rows, columns, (half, wide)[, watch]) -> whether pairs are settled"},
    {NULL, NULL, 0, NULL},
};

PyMODINIT_FUNC PyInit__fourier(void)
{
    static PyModuleDef_Slot slots[] = {{0, NULL}};
    static PyModuleDef definition = {
        PyModuleDef_HEAD_INIT, .m_name = "_fourier", .m_methods = METHODS, .m_slots = slots};
    return PyModuleDef_Init(&definition);
}
