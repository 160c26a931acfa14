/* Samples in memory, and the window of them that a target's outputs read: what Python hands in, checked, and its rows.
 *
 * The includer defines SAMPLES(X), whose first three arguments are the name, the C type, and the letter of the buffer
 * protocol of every sample type, and SUM, the type that sums are made in. Nothing outside the buffers may be read or
 * written, whatever the caller says: `objection` is the one place that makes sure of it.
 */

#include "axis.h"

static const struct {
    char format;
    Py_ssize_t size;
} TYPES[] = {
#define TYPE(name, type, format, ...) {format, sizeof(type)},
    SAMPLES(TYPE)
#undef TYPE
};
enum { KINDS = sizeof TYPES / sizeof *TYPES };

/* Channels (of a target, filters), slices, rows and columns of samples; steps in bytes. */
struct samples {
    char *data;
    int type;
    ptrdiff_t channels, slices, rows, columns, channel_step, slice_step, row_step, column_step;
};

/* Samples of one type to another, between steps in bytes. */
typedef void convert(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step, ptrdiff_t count);

/* Samples as they are, where they are of the type that sums are made in. */
static inline void copy_sums(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step, ptrdiff_t count)
{
    if (to_step == sizeof(SUM) && from_step == sizeof(SUM))
        memcpy(to, from, (size_t)count * sizeof(SUM));
    else
        for (ptrdiff_t i = 0; i < count; i++)
            memcpy(to + i * to_step, from + i * from_step, sizeof(SUM));
}

/* What is read. Rows hold `step` samples per pixel: taps and strides count pixels, columns count samples. Where constants
 * meet, that of the later axis stands. */
struct window {
    struct samples source;
    struct axis z, y, x;
    ptrdiff_t step;
    SUM outside[3]; /* of z, y and x */
};

/* A row of the image, or NULL where a constant, `filler`, stands instead. */
static inline const char *find_row(const struct window *window, ptrdiff_t channel, ptrdiff_t slice, ptrdiff_t row,
                                   const SUM **filler)
{
    const struct samples *source = &window->source;
    ptrdiff_t z = pixel_at(&window->z, slice), y = pixel_at(&window->y, row);
    *filler = &window->outside[y == BEYOND];
    if (z == BEYOND || y == BEYOND)
        return NULL;
    return source->data + channel * source->channel_step + z * source->slice_step + y * source->row_step;
}

/* Bytes from a row's begin to a sample of the pixel at a position of the longest stretch. */
static inline ptrdiff_t reach_pixel(const struct window *window, ptrdiff_t position, ptrdiff_t sample)
{
    ptrdiff_t pixel = pixel_at(&window->x, window->x.first) - window->x.first + position;
    return (pixel * window->step + sample) * window->source.column_step;
}

/* Widen `count` pixels of a row, every `apart`-th from `position` on: all samples of each, or one. */
static inline void read_row(const struct window *window, convert *widen, char *to, ptrdiff_t to_step, const char *row,
                            const SUM *filler, ptrdiff_t position, ptrdiff_t apart, ptrdiff_t sample, ptrdiff_t samples,
                            ptrdiff_t count)
{
    const struct axis *x = &window->x;
    ptrdiff_t from_step = window->source.column_step, next = samples > 1 ? from_step : apart * window->step * from_step;
    for (ptrdiff_t i = 0, done; i < count; i += done, to += done * samples * to_step, position += done * apart) {
        ptrdiff_t pixel = pixel_at(x, position);
        done = 1;
        if (row && position >= x->first && position < x->last) {
            done = smaller(count - i, (x->last - 1 - position) / apart + 1);
            widen(to, to_step, row + reach_pixel(window, position, sample), next, done * samples);
        } else if (row && pixel != BEYOND)
            widen(to, to_step, row + (pixel * window->step + sample) * from_step, from_step, samples);
        else
            for (ptrdiff_t s = 0; s < samples; s++)
                memcpy(to + s * to_step, pixel == BEYOND ? &window->outside[2] : filler, sizeof(SUM));
    }
}

/* A buffer as channels, slices, rows and columns of samples. NULL, or what is wrong. */
static const char *as_samples(const Py_buffer *buffer, struct samples *samples)
{
    const char *format = buffer->format ? buffer->format : "B";
    format += format[0] == '='; /* how NumPy marks samples at odd addresses */
    int type = 0;
    while (type < KINDS && (format[0] != TYPES[type].format || buffer->itemsize != TYPES[type].size))
        type++;
    if (type == KINDS || format[1] || buffer->ndim != 4)
        return "source and target have 4 dimensions, of samples of a type that is known here";
    for (int i = 0; i < 4; i++)
        if (buffer->shape[i] > INT32_MAX) /* keeps every product of two sizes inside 64 bits */
            return "an axis is longer than 2147483647";
    const Py_ssize_t *shape = buffer->shape, *steps = buffer->strides;
    *samples = (struct samples){buffer->buf, type,     shape[0], shape[1], shape[2],
                                shape[3],    steps[0], steps[1], steps[2], steps[3]};
    return NULL;
}

/* Whether a buffer is contiguous taps of `ndim` axes, of the type that sums are made in. */
static inline int is_taps(const Py_buffer *buffer, int ndim)
{
    return buffer->ndim == ndim && !strcmp(buffer->format, sizeof(SUM) == sizeof(float) ? "f" : "d") && buffer->len;
}

/* Python's (stride, dilation, reads, outside) of slices, rows and columns; `reads` is None or int32. False with an
 * exception. The buffers are the caller's to release. */
static int as_axes(PyObject *given, struct window *window, Py_buffer buffers[3])
{
    struct axis *axes[] = {&window->z, &window->y, &window->x};
    PyObject *reads[3];
    if (!PyArg_ParseTuple(given, "(nnOd)(nnOd)(nnOd)", &axes[0]->stride, &axes[0]->dilation, &reads[0],
                          &axes[0]->outside, &axes[1]->stride, &axes[1]->dilation, &reads[1], &axes[1]->outside,
                          &axes[2]->stride, &axes[2]->dilation, &reads[2], &axes[2]->outside))
        return 0;
    for (int i = 0; i < 3; i++) {
        window->outside[i] = (SUM)axes[i]->outside;
        if (!as_reads(reads[i], axes[i], &buffers[i]))
            return 0;
    }
    return 1;
}

/* NULL, or why a target of sums of (filters, channels, deep, high, wide) taps would leave the buffers. */
static const char *objection(struct window *window, const struct samples *target, const ptrdiff_t taps[5])
{
    const struct samples *source = &window->source;
    ptrdiff_t step = window->step, channels = taps[1], deep = taps[2], high = taps[3], wide = taps[4];
    if (channels < 1 || source->channels < 1 || source->channels % channels)
        return "the taps do not belong to the channels of the source";
    if (target->channels < 1 || target->channels != taps[0] || target->channels % (source->channels / channels))
        return "the filters are not those of the target, as many for each group of channels";
    if (step < 1 || source->columns % step || target->columns % step)
        return "the columns are no multiple of step";
    if (!stands(&window->z, source->slices) || !stands(&window->y, source->rows) ||
        !stands(&window->x, source->columns / step))
        return "a pixel that is read is not in the source";
    if (!fits(target->slices, deep, &window->z) || !fits(target->rows, high, &window->y) ||
        !fits(target->columns / step, wide, &window->x))
        return "the target reads beyond the source";
    return NULL;
}

/* The window and the target of one filter of `channels` channels: groups of filters share groups of channels. */
static inline void pick_filter(struct window *window, struct samples *target, ptrdiff_t channels, ptrdiff_t filter)
{
    struct samples *source = &window->source;
    ptrdiff_t sharing = target->channels / (source->channels / channels);
    source->data += filter / sharing * channels * source->channel_step;
    target->data += filter * target->channel_step;
}

/* Threads that share the outputs of a call, each by a call of its own: who is through takes the next part. */
struct team {
    ptrdiff_t *next, size; /* where the next part begins; threads */
    ptrdiff_t own;         /* what `next` points to where a thread is alone */
};

/* Rows of the outputs of a group of filters, or of a volume the slices. */
struct part {
    ptrdiff_t group, first, count;
};

/* The next part of the outputs of `groups` groups, a multiple of `grain` unless it is the last of a group. Parts get
 * shorter: all threads are through at about the same time. False where none is left. */
static inline int take_part(const struct team *team, const struct samples *target, ptrdiff_t groups, ptrdiff_t grain,
                     struct part *part)
{
    ptrdiff_t length = target->slices > 1 ? target->slices : target->rows;
    ptrdiff_t begin = __atomic_load_n(team->next, __ATOMIC_RELAXED), end;
    do {
        if (begin < 0 || begin >= groups * length)
            return 0;
        ptrdiff_t left = groups * length - begin, fair = team->size > 1 ? parts(left, 2 * team->size) : left;
        *part = (struct part){begin / length, begin % length, parts(fair, grain) * grain};
        part->count = smaller(part->count, length - part->first);
        end = begin + part->count;
    } while (!__atomic_compare_exchange_n(team->next, &begin, end, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return 1;
}

/* Let an axis begin with what its output `first` reads. */
static void cut_axis(struct axis *axis, struct samples *source, ptrdiff_t step, ptrdiff_t first)
{
    ptrdiff_t position = first * axis->stride;
    axis->size -= position;
    if (axis->reads)
        axis->reads += position;
    else
        source->data += position * step;
}

/* The window and the target of a part. */
static inline void cut_part(struct window *window, struct samples *target, const struct part *part)
{
    if (target->slices > 1) {
        cut_axis(&window->z, &window->source, window->source.slice_step, part->first);
        target->data += part->first * target->slice_step, target->slices = part->count;
    } else {
        cut_axis(&window->y, &window->source, window->source.row_step, part->first);
        target->data += part->first * target->row_step, target->rows = part->count;
    }
}

/* What Python says of a team: None, or two numbers, where the next part begins and the threads. NULL, or what is wrong. */
static const char *as_team(const Py_buffer *buffer, struct team *team)
{
    ptrdiff_t *numbers = buffer->buf;
    *team = (struct team){&team->own, 1, 0};
    if (!buffer->obj)
        return NULL;
    if (buffer->len != 2 * sizeof *numbers || (uintptr_t)numbers % sizeof *numbers || numbers[1] < 1 ||
        numbers[1] > INT32_MAX)
        return "a team is two numbers: where the next part begins, and the threads";
    team->next = numbers, team->size = numbers[1];
    return NULL;
}

/* The objects of a call: what is read, taps, what is written, more taps, the team; and the pixels that axes say are read. */
enum { SOURCE, TAPS, TARGET, COLUMNS, TEAM, READS, BUFFERS = READS + 3 };
