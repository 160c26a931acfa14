/* Copies that many small strides make slow: windows of an image laid out as columns, and phases of an image put side by
 * side (what PyTorch calls Unfold and PixelShuffle). Samples are moved, whatever they mean: 1, 2, 4 or 8 bytes each.
 *
 * Sources: Chellapilla, Puri and Simard, 2006 (im2col); Shi et al., arXiv:1609.07009 (sub-pixel convolution).
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__GNUC__) && !defined(__clang__)
#error "GCC or Clang; convcli works without this module"
#endif

#include "axis.h"
#include "versions.h"
#include "module.h"

/* `count` samples, those of the source `apart`, those of the target `between` samples from each other. */
INLINE void move_body(char *to, ptrdiff_t between, const char *from, ptrdiff_t apart, ptrdiff_t count, ptrdiff_t size)
{
#define MOVE(type, between, apart) \
    for (ptrdiff_t i = 0; i < count; i++) \
        ((type *)to)[i * (between)] = ((const type *)from)[i * (apart)];
#define CASES(type) \
    if (between == 1 && apart == 2) { \
        MOVE(type, 1, 2) \
    } else { \
        MOVE(type, between, apart) \
    }
    if (between == 1 && apart == 1)
        memcpy(to, from, (size_t)(count * size));
    else if (size == 1) {
        CASES(uint8_t)
    } else if (size == 2) {
        CASES(uint16_t)
    } else if (size == 4) {
        CASES(uint32_t)
    } else {
        CASES(uint64_t)
    }
#undef CASES
#undef MOVE
}
VERSIONS(move, (char *to, ptrdiff_t between, const char *from, ptrdiff_t apart, ptrdiff_t count, ptrdiff_t size),
         (to, between, from, apart, count, size))

/* Two rows into one, a sample of each in turn: what vectors do well, and one phase after the other does not. */
INLINE void pair_body(char *restrict to, const char *restrict first, const char *restrict second, ptrdiff_t count,
                      ptrdiff_t size)
{
#define PAIR(type) \
    for (ptrdiff_t i = 0; i < count; i++) { \
        ((type *)to)[2 * i] = ((const type *)first)[i]; \
        ((type *)to)[2 * i + 1] = ((const type *)second)[i]; \
    }
    if (size == 1) {
        PAIR(uint8_t)
    } else if (size == 2) {
        PAIR(uint16_t)
    } else if (size == 4) {
        PAIR(uint32_t)
    } else {
        PAIR(uint64_t)
    }
#undef PAIR
}
VERSIONS(pair, (char *restrict to, const char *restrict first, const char *restrict second, ptrdiff_t count, ptrdiff_t size),
         (to, first, second, count, size))

/* target[o, y, phases x + p] = source[o, y, p, x]; rows lie side by side in memory. */
static void shuffle_all(const Py_buffer *source, const Py_buffer *target)
{
    ptrdiff_t size = source->itemsize, phases = source->shape[2], columns = source->shape[3];
    for (ptrdiff_t o = 0; o < source->shape[0]; o++)
        for (ptrdiff_t y = 0; y < source->shape[1]; y++) {
            const char *from = (const char *)source->buf + o * source->strides[0] + y * source->strides[1];
            char *to = (char *)target->buf + o * target->strides[0] + y * target->strides[1];
            if (phases == 2)
                pair(to, from, from + source->strides[2], columns, size);
            else
                for (ptrdiff_t p = 0; p < phases; p++)
                    move(to + p * size, phases, from + p * source->strides[2], 1, columns, size);
        }
}

/* columns[i, ky, kx, y, x] = image[i, y sy + ky dy, x sx + kx dx]. */
static void unfold_all(const Py_buffer *image, const Py_buffer *columns, const struct axis *axes)
{
    ptrdiff_t size = image->itemsize;
    const Py_ssize_t *n = columns->shape;
    char *to = columns->buf;
    for (ptrdiff_t i = 0; i < n[0]; i++)
        for (ptrdiff_t ky = 0; ky < n[1]; ky++)
            for (ptrdiff_t kx = 0; kx < n[2]; kx++) {
                const char *from = (const char *)image->buf + i * image->strides[0] +
                                   ky * axes[0].dilation * image->strides[1] + kx * axes[1].dilation * size;
                for (ptrdiff_t y = 0; y < n[3]; y++, to += n[4] * size)
                    move(to, 1, from + y * axes[0].stride * image->strides[1], axes[1].stride, n[4], size);
            }
}

/* A buffer of so many dimensions whose last one lies side by side, at addresses that its samples like. False with an
 * exception. */
static int take(PyObject *object, Py_buffer *buffer, int flags, int ndim)
{
    if (PyObject_GetBuffer(object, buffer, flags))
        return 0;
    int known = buffer->itemsize == 1 || buffer->itemsize == 2 || buffer->itemsize == 4 || buffer->itemsize == 8;
    int fitting = known && buffer->ndim == ndim && (uintptr_t)buffer->buf % (size_t)buffer->itemsize == 0;
    for (int i = 0; fitting && i < ndim; i++)
        fitting = buffer->shape[i] >= 1 && buffer->shape[i] <= INT32_MAX && buffer->strides[i] % buffer->itemsize == 0;
    if (!fitting || (buffer->shape[ndim - 1] > 1 && buffer->strides[ndim - 1] != buffer->itemsize)) {
        PyErr_SetString(PyExc_ValueError, "a buffer has other dimensions, sample sizes or strides than are known here");
        return 0;
    }
    return 1;
}

static PyObject *shuffle(PyObject *module, PyObject *args)
{
    PyObject *from, *to, *result = NULL;
    Py_buffer source = {0}, target = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "OO", &from, &to))
        return NULL;
    if (take(from, &source, PyBUF_STRIDED_RO, 4) && take(to, &target, PyBUF_STRIDED, 3)) {
        if (source.itemsize == target.itemsize && source.shape[0] == target.shape[0] &&
            source.shape[1] == target.shape[1] && source.shape[2] * source.shape[3] == target.shape[2]) {
            Py_BEGIN_ALLOW_THREADS
            shuffle_all(&source, &target);
            Py_END_ALLOW_THREADS
            result = Py_NewRef(Py_None);
        } else
            PyErr_SetString(PyExc_ValueError, "the phases do not make up the target");
    }
    PyBuffer_Release(&source);
    PyBuffer_Release(&target);
    return result;
}

static PyObject *unfold(PyObject *module, PyObject *args)
{
    PyObject *from, *to, *result = NULL;
    Py_buffer image = {0}, columns = {0};
    struct axis axes[2] = {{0}, {0}};
    (void)module;
    if (!PyArg_ParseTuple(args, "OO(nn)(nn)", &from, &to, &axes[0].stride, &axes[1].stride, &axes[0].dilation,
                          &axes[1].dilation))
        return NULL;
    if (take(from, &image, PyBUF_STRIDED_RO, 3) && take(to, &columns, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE, 5)) {
        axes[0].size = image.shape[1], axes[1].size = image.shape[2];
        if (image.itemsize == columns.itemsize && image.shape[0] == columns.shape[0] &&
            fits(columns.shape[3], columns.shape[1], &axes[0]) && fits(columns.shape[4], columns.shape[2], &axes[1])) {
            Py_BEGIN_ALLOW_THREADS
            unfold_all(&image, &columns, axes);
            Py_END_ALLOW_THREADS
            result = Py_NewRef(Py_None);
        } else
            PyErr_SetString(PyExc_ValueError, "the windows read beyond the image");
    }
    PyBuffer_Release(&image);
    PyBuffer_Release(&columns);
    return result;
}

static PyMethodDef METHODS[] = {
    {"shuffle", shuffle, METH_VARARGS, "shuffle(source (O, rows, phases, columns), target (O, rows, phases columns))"},
    {"unfold", unfold, METH_VARARGS, "unfold(image (I, rows, columns), columns (I, kh, kw, rows, columns), stride, dilation)"},
    {NULL, NULL, 0, NULL},
};

MODULE(_copies)
