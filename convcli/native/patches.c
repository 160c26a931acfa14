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

#if !defined(__GNUC__)
#error "GCC or Clang"
#endif

#include "versions.h"

enum { STEP = 4, PATCH = 6, COMPONENTS = PATCH * PATCH, VECTOR = 16 };

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

/* Channels of rows of floats; columns lie side by side. */
struct maps {
    char *data;
    ptrdiff_t channels, rows, columns, channel_step, row_step;
};

/* Components (36, channels, patches): patches of a row of them side by side, row by row. */
struct components {
    float *data;
    ptrdiff_t channels, down, across;
};

/* out[i] = sum over j of B^T[i][j] in[j], for vectors. */
INLINE void inputs(ptrdiff_t count, const float *restrict const in[PATCH],
                                                         float *restrict const out[PATCH])
{
    for (ptrdiff_t x = 0; x < count / VECTOR * VECTOR; x++) {
        float a = in[0][x], b = in[1][x], c = in[2][x], d = in[3][x], e = in[4][x], f = in[5][x];
        float even = e - 4 * c, odd = d - 4 * b, near = e - c, far = 2 * (d - b);
        out[0][x] = 4 * a - 5 * c + e;
        out[1][x] = even + odd;
        out[2][x] = even - odd;
        out[3][x] = near + far;
        out[4][x] = near - far;
        out[5][x] = 4 * b - 5 * d + f;
    }
}

/* out[i] = sum over j of A^T[i][j] in[j], for vectors. */
INLINE void outputs(ptrdiff_t count, const float *restrict const in[PATCH],
                                                          float *restrict const out[STEP])
{
    for (ptrdiff_t x = 0; x < count / VECTOR * VECTOR; x++) {
        float sum = in[1][x] + in[2][x], difference = in[1][x] - in[2][x];
        float wide_sum = in[3][x] + in[4][x], wide_difference = in[3][x] - in[4][x];
        out[0][x] = in[0][x] + sum + wide_sum;
        out[1][x] = difference + 2 * wide_difference;
        out[2][x] = sum + 4 * wide_sum;
        out[3][x] = difference + 8 * wide_difference + in[5][x];
    }
}

/* Where each row of scratch begins: rows of pixels, then of one phase or component. */
struct scratch {
    float *rows, *lines;
    ptrdiff_t row, line;
};

/* A row of pixels, with room for whole vectors behind it. */
static const float *pixels_at(const struct maps *maps, ptrdiff_t channel, ptrdiff_t y)
{
    return (float *)(maps->data + channel * maps->channel_step + y * maps->row_step);
}

static float *component_at(const struct components *of, ptrdiff_t component, ptrdiff_t channel, ptrdiff_t down)
{
    return of->data + ((component * of->channels + channel) * of->down + down) * of->across;
}

INLINE void forward_row_body(const struct maps *block, ptrdiff_t channel, ptrdiff_t down, const struct components *to,
                        const struct scratch *scratch)
{
    const float *in[PATCH];
    float *row[PATCH], *phase[STEP], *result[PATCH];
    for (int i = 0; i < PATCH; i++) {
        ptrdiff_t y = STEP * down + i;
        float *copy = scratch->rows + i * scratch->row;
        if (y < block->rows)
            memcpy(copy, pixels_at(block, channel, y), (size_t)block->columns * sizeof(float));
        else
            memset(copy, 0, (size_t)block->columns * sizeof(float));
        in[i] = copy;
        row[i] = scratch->rows + (PATCH + i) * scratch->row;
        result[i] = scratch->lines + (STEP + i) * scratch->line;
    }
    inputs(scratch->row, in, row);
    for (int i = 0; i < STEP; i++)
        phase[i] = scratch->lines + i * scratch->line;
    const float *patch[PATCH] = {phase[0], phase[1], phase[2], phase[3], phase[0] + 1, phase[1] + 1};
    for (int i = 0; i < PATCH; i++) {
        deal(scratch->line, row[i], phase);
        inputs(whole(to->across), patch, result);
        for (int j = 0; j < PATCH; j++)
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
            float *copy = scratch->lines + i * line;
            memcpy(copy, component_at(from, i * PATCH + j, channel, down), (size_t)from->across * sizeof(float));
            in[i] = copy;
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
        memcpy((float *)pixels_at(out, channel, STEP * down + i), pixels, (size_t)out->columns * sizeof(float));
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
    *maps = (struct maps){block->buf, block->shape[0], block->shape[1], block->shape[2], block->strides[0],
                          block->strides[1]};
    *components = (struct components){patches->buf, patches->shape[1], patches->shape[2], patches->shape[3]};
    for (int i = 0; i < 3; i++)
        if (block->shape[i] < 1 || block->shape[i] > INT32_MAX || patches->shape[i + 1] < 1 ||
            patches->shape[i + 1] > INT32_MAX / 8)
            return "an axis is empty or too long";
    if (patches->shape[0] != COMPONENTS || components->channels != maps->channels)
        return "the components are not 36 of every channel";
    ptrdiff_t most = STEP * components->across + (forward ? PATCH - STEP : 0);
    if (maps->columns > most || (!forward && (maps->columns <= most - STEP || maps->rows > STEP * components->down ||
                                              maps->rows <= STEP * (components->down - 1))))
        return "the patches do not cover the maps";
    return NULL;
}

static PyObject *transformed(PyObject *args, int forward)
{
    PyObject *first, *second, *result = NULL;
    Py_buffer block = {0}, patches = {0};
    struct maps maps;
    struct components components;
    int done;
    if (!PyArg_ParseTuple(args, "OO", &first, &second))
        return NULL;
    if (PyObject_GetBuffer(first, &block, forward ? PyBUF_RECORDS_RO : PyBUF_RECORDS))
        return NULL;
    if (PyObject_GetBuffer(second, &patches,
                           PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (forward ? PyBUF_WRITABLE : 0)))
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
    return result;
}

static PyObject *forward(PyObject *module, PyObject *args) { return (void)module, transformed(args, 1); }

static PyObject *backward(PyObject *module, PyObject *args) { return (void)module, transformed(args, 0); }

static PyMethodDef METHODS[] = {
    {"forward", forward, METH_VARARGS, "forward(maps (I, rows, columns), components (36, I, down, across))"},
    {"backward", backward, METH_VARARGS, "backward(maps (O, rows, columns), components (36, O, down, across))"},
    {NULL, NULL, 0, NULL},
};

PyMODINIT_FUNC PyInit__patches(void)
{
    static PyModuleDef_Slot slots[] = {{0, NULL}};
    static PyModuleDef definition = {
        PyModuleDef_HEAD_INIT, .m_name = "_patches", .m_methods = METHODS, .m_slots = slots};
    return PyModuleDef_Init(&definition);
}
