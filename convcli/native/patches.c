/* The transforms of Winograd's F(4x4,3x3): patches of 6x6 pixels to their 36 components, and 36 components to 4x4 results.
 *
 * A row of patches is transformed along its columns while pixels lie side by side. Then its rows are dealt out into four
 * phases (x mod 4), so that the same pixel of neighbouring patches lies side by side too: every sum runs over vectors.
 * Source: Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__GNUC__) && !defined(__clang__)
#error "GCC or Clang"
#endif

#include "axis.h"
#include "versions.h"
#include "module.h"

enum { STEP = 4, PATCH = 6, COMPONENTS = PATCH * PATCH, VECTOR = 8 };

/* Floats at any address, written out as vectors: compilers do not see that twelve rows do not overlap. */
typedef float lanes __attribute__((vector_size(VECTOR * sizeof(float)), aligned(sizeof(float)), may_alias));

/* Lines of scratch are whole vectors, and so are all loops over them: what they hold at their end is not looked at. */
static ptrdiff_t whole(ptrdiff_t count) { return (count + VECTOR - 1) / VECTOR * VECTOR; }

/* Pixels of a row dealt out into four phases, and back. */
INLINE void deal(ptrdiff_t count, const float *restrict pixels,
                                                       float *restrict const phases[STEP])
{
    float *restrict a = phases[0], *restrict b = phases[1], *restrict c = phases[2], *restrict d = phases[3];
    for (ptrdiff_t t = 0; t < count / VECTOR * VECTOR; t++) {
        a[t] = pixels[STEP * t];
        b[t] = pixels[STEP * t + 1];
        c[t] = pixels[STEP * t + 2];
        d[t] = pixels[STEP * t + 3];
    }
}

INLINE void collect(ptrdiff_t count, float *restrict const phases[STEP],
                                                          float *restrict pixels)
{
    const float *restrict a = phases[0], *restrict b = phases[1], *restrict c = phases[2], *restrict d = phases[3];
    for (ptrdiff_t t = 0; t < count; t++) {
        pixels[STEP * t] = a[t];
        pixels[STEP * t + 1] = b[t];
        pixels[STEP * t + 2] = c[t];
        pixels[STEP * t + 3] = d[t];
    }
}

/* Channels of rows of floats; columns lie side by side. `rows` and `columns` are those of the window that is read. */
struct maps {
    char *data;
    ptrdiff_t channels, rows, columns, channel_step, row_step;
    struct axis y, x;
};

/* Components (36, channels, patches): patches of a row of them side by side, row by row; `step` in bytes. */
struct components {
    char *data;
    ptrdiff_t channels, down, across, step;
};

INLINE lanes at(const float *row, ptrdiff_t x) { return *(const lanes *)(row + x); }

INLINE void put(float *row, ptrdiff_t x, lanes value) { *(lanes *)(row + x) = value; }

/* out[i] = sum over j of B^T[i][j] in[j], for whole vectors. */
INLINE void inputs(ptrdiff_t count, const float *const in[PATCH], float *const out[PATCH])
{
    for (ptrdiff_t x = 0; x < count; x += VECTOR) {
        lanes a = at(in[0], x), b = at(in[1], x), c = at(in[2], x), d = at(in[3], x), e = at(in[4], x), f = at(in[5], x);
        lanes even = e - 4 * c, odd = d - 4 * b, near = e - c, far = 2 * (d - b);
        put(out[0], x, 4 * a - 5 * c + e);
        put(out[1], x, even + odd);
        put(out[2], x, even - odd);
        put(out[3], x, near + far);
        put(out[4], x, near - far);
        put(out[5], x, 4 * b - 5 * d + f);
    }
}

/* out[i] = sum over j of A^T[i][j] in[j], for whole vectors. */
INLINE void outputs(ptrdiff_t count, const float *const in[PATCH], float *const out[STEP])
{
    for (ptrdiff_t x = 0; x < count; x += VECTOR) {
        lanes sum = at(in[1], x) + at(in[2], x), difference = at(in[1], x) - at(in[2], x);
        lanes wide_sum = at(in[3], x) + at(in[4], x), wide_difference = at(in[3], x) - at(in[4], x);
        put(out[0], x, at(in[0], x) + sum + wide_sum);
        put(out[1], x, difference + 2 * wide_difference);
        put(out[2], x, sum + 4 * wide_sum);
        put(out[3], x, difference + 8 * wide_difference + at(in[5], x));
    }
}

/* Where each row of scratch begins: rows of pixels, then of one phase or component. */
struct scratch {
    float *rows, *lines;
    ptrdiff_t row, line;
};

/* A row of pixels. */
static float *pixels_at(const struct maps *maps, ptrdiff_t channel, ptrdiff_t y)
{
    return (float *)(maps->data + channel * maps->channel_step + y * maps->row_step);
}

/* A row of the window, with what stands beyond the image; zeros below. Where constants meet, that of the columns stands. */
static void read_row(const struct maps *maps, ptrdiff_t channel, ptrdiff_t y, float *to)
{
    const struct axis *x = &maps->x;
    if (y >= maps->rows) {
        memset(to, 0, (size_t)maps->columns * sizeof(float));
        return;
    }
    ptrdiff_t row = pixel_at(&maps->y, y);
    const float *from = row == BEYOND ? NULL : pixels_at(maps, channel, row);
    for (ptrdiff_t i = 0; i < maps->columns; i++) {
        ptrdiff_t pixel = pixel_at(x, i);
        if (from && i == x->first && i < x->last) {
            memcpy(to + i, from + pixel, (size_t)(x->last - x->first) * sizeof(float));
            i = x->last - 1;
        } else
            to[i] = pixel == BEYOND ? (float)x->outside : from ? from[pixel] : (float)maps->y.outside;
    }
}

/* Whether whole vectors may run over the end of a row of patches: the next one follows, and is written or read later. */
static int runs_on(const struct components *of, ptrdiff_t down)
{
    return down + 1 < of->down && whole(of->across) <= 2 * of->across;
}

static float *component_at(const struct components *of, ptrdiff_t component, ptrdiff_t channel, ptrdiff_t down)
{
    return (float *)(of->data + component * of->step) + (channel * of->down + down) * of->across;
}

INLINE void forward_row_body(const struct maps *block, ptrdiff_t channel, ptrdiff_t down, const struct components *to,
                        const struct scratch *scratch)
{
    const float *in[PATCH];
    float *row[PATCH], *phase[STEP], *result[PATCH];
    int direct = runs_on(to, down);
    for (int i = 0; i < PATCH; i++) {
        ptrdiff_t y = STEP * down + i;
        float *copy = scratch->rows + i * scratch->row;
        read_row(block, channel, y, copy);
        in[i] = copy;
        row[i] = scratch->rows + (PATCH + i) * scratch->row;
    }
    inputs(scratch->row, in, row);
    for (int i = 0; i < STEP; i++)
        phase[i] = scratch->lines + i * scratch->line;
    const float *patch[PATCH] = {phase[0], phase[1], phase[2], phase[3], phase[0] + 1, phase[1] + 1};
    for (int i = 0; i < PATCH; i++) {
        deal(scratch->line, row[i], phase);
        for (int j = 0; j < PATCH; j++)
            result[j] = direct ? component_at(to, i * PATCH + j, channel, down) : scratch->lines + (STEP + j) * scratch->line;
        inputs(whole(to->across), patch, result);
        for (int j = 0; j < PATCH && !direct; j++)
            memcpy(component_at(to, i * PATCH + j, channel, down), result[j], (size_t)to->across * sizeof(float));
    }
}

INLINE void backward_row_body(const struct components *from, ptrdiff_t channel, ptrdiff_t down, const struct maps *out,
                         const struct scratch *scratch)
{
    ptrdiff_t rows = out->rows - STEP * down, line = scratch->line, count = whole(from->across);
    const float *in[PATCH];
    float *to[STEP];
    for (int j = 0; j < PATCH; j++) {
        for (int i = 0; i < PATCH; i++) {
            in[i] = component_at(from, i * PATCH + j, channel, down);
            if (!runs_on(from, down))
                in[i] = memcpy(scratch->lines + i * line, in[i], (size_t)from->across * sizeof(float));
        }
        for (int i = 0; i < STEP; i++)
            to[i] = scratch->rows + (i * PATCH + j) * line;
        outputs(count, in, to);
    }
    for (ptrdiff_t i = 0; i < (rows < STEP ? rows : STEP); i++) {
        for (int j = 0; j < PATCH; j++)
            in[j] = scratch->rows + (i * PATCH + j) * line;
        for (int j = 0; j < STEP; j++)
            to[j] = scratch->lines + j * line;
        outputs(count, in, to);
        float *pixels = scratch->lines + STEP * line;
        collect(from->across, to, pixels);
        memcpy(pixels_at(out, channel, STEP * down + i), pixels, (size_t)out->columns * sizeof(float));
    }
}

VERSIONS(forward_row,
         (const struct maps *block, ptrdiff_t channel, ptrdiff_t down, const struct components *to,
          const struct scratch *scratch),
         (block, channel, down, to, scratch))
VERSIONS(backward_row,
         (const struct components *from, ptrdiff_t channel, ptrdiff_t down, const struct maps *out,
          const struct scratch *scratch),
         (from, channel, down, out, scratch))

/* Every row of patches, there or back. False without memory. */
static int transform(const struct maps *maps, const struct components *components, int forward)
{
    ptrdiff_t line = whole(components->across + 1), row = STEP * line;
    float *memory = calloc((size_t)(2 * PATCH * row + STEP * PATCH * line), sizeof(float));
    struct scratch scratch = {memory, memory + 2 * PATCH * row, row, line};
    if (!memory)
        return 0;
    for (ptrdiff_t channel = 0; channel < components->channels; channel++)
        for (ptrdiff_t down = 0; down < components->down; down++)
            if (forward)
                forward_row(maps, channel, down, components, &scratch);
            else
                backward_row(components, channel, down, maps, &scratch);
    free(memory);
    return 1;
}

/* NULL, or why the buffers do not belong together: nothing outside them may be touched, whatever the caller says. */
static const char *understand(const Py_buffer *block, const Py_buffer *patches, int forward, struct maps *maps,
                              struct components *components)
{
    if (block->ndim != 3 || patches->ndim != 4 || strcmp(block->format, "f") || strcmp(patches->format, "f"))
        return "float32 maps (channels, rows, columns) and components (36, channels, rows, columns)";
    if (block->strides[2] != sizeof(float) || block->strides[0] % sizeof(float) || block->strides[1] % sizeof(float))
        return "the columns of the maps do not lie side by side";
    if (!stands(&maps->y, block->shape[1]) || !stands(&maps->x, block->shape[2]))
        return "a pixel that is read is not in the maps";
    maps->data = block->buf, maps->channels = block->shape[0], maps->rows = maps->y.size, maps->columns = maps->x.size;
    maps->channel_step = block->strides[0], maps->row_step = block->strides[1];
    Py_ssize_t next = sizeof(float);
    for (int i = 3; i > 0; next *= patches->shape[i--])
        if (patches->shape[i] > 1 && patches->strides[i] != next) /* a single place has no next one */
            return "the patches of a component do not lie side by side";
    if (patches->strides[0] % (Py_ssize_t)sizeof(float))
        return "components begin between two numbers";
    *components = (struct components){patches->buf, patches->shape[1], patches->shape[2], patches->shape[3],
                                      patches->strides[0]};
    for (int i = 0; i < 3; i++)
        if (block->shape[i] < 1 || block->shape[i] > INT32_MAX || patches->shape[i + 1] < 1 ||
            patches->shape[i + 1] > INT32_MAX / 8)
            return "an axis is empty or too long";
    if (patches->shape[0] != COMPONENTS || components->channels != maps->channels)
        return "the components are not 36 of every channel";
    ptrdiff_t most = STEP * components->across + (forward ? PATCH - STEP : 0);
    int covered = maps->rows > 0 && maps->columns > 0 && maps->columns <= most;
    if (!forward)
        covered = covered && maps->columns > most - STEP && maps->rows <= STEP * components->down &&
                  maps->rows > STEP * (components->down - 1);
    if (!covered)
        return "the patches do not cover the maps";
    return NULL;
}

static PyObject *transformed(PyObject *args, int forward)
{
    PyObject *first, *second, *result = NULL, *reads[2] = {Py_None, Py_None};
    Py_buffer block = {0}, patches = {0}, places[2] = {{0}};
    struct maps maps = {0};
    struct components components;
    int done;
    if (!PyArg_ParseTuple(args, forward ? "OO(Od)(Od)" : "OO", &first, &second, &reads[0], &maps.y.outside, &reads[1],
                          &maps.x.outside))
        return NULL;
    if (PyObject_GetBuffer(first, &block, forward ? PyBUF_RECORDS_RO : PyBUF_RECORDS))
        return NULL;
    if (PyObject_GetBuffer(second, &patches, forward ? PyBUF_RECORDS : PyBUF_RECORDS_RO))
        goto release;
    if (!as_reads(reads[0], &maps.y, &places[0]) || !as_reads(reads[1], &maps.x, &places[1]))
        goto release;
    const char *wrong = understand(&block, &patches, forward, &maps, &components);
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, wrong);
        goto release;
    }
    Py_BEGIN_ALLOW_THREADS
    done = transform(&maps, &components, forward);
    Py_END_ALLOW_THREADS
    result = done ? Py_NewRef(Py_None) : PyErr_NoMemory();
release:
    PyBuffer_Release(&block);
    PyBuffer_Release(&patches);
    PyBuffer_Release(&places[0]);
    PyBuffer_Release(&places[1]);
    return result;
}

static PyObject *forward(PyObject *module, PyObject *args) { return (void)module, transformed(args, 1); }

static PyObject *backward(PyObject *module, PyObject *args) { return (void)module, transformed(args, 0); }

static PyMethodDef METHODS[] = {
    {"forward", forward, METH_VARARGS,
     "forward(maps (I, rows, columns), components (36, I, down, across), (reads, outside) of rows and of columns)"},
    {"backward", backward, METH_VARARGS, "backward(maps (O, rows, columns), components (36, O, down, across))"},
    {NULL, NULL, 0, NULL},
};

MODULE(_patches)
