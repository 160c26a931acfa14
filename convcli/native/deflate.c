/* Deflate for what is left of pixels that their neighbours foretell: Huffman codes, and runs of one byte.
 *
 * What is left of a photo hardly repeats, so a search for earlier copies, where a general compressor spends its time,
 * finds nothing. What does repeat is a byte, in flat parts: it becomes a copy from one byte before. Codes have 12 bits
 * at most, so that three tokens fit what is written at once.
 *
 * Sources: RFC 1951 (the format); Moffat and Katajainen, 1995 (code lengths in place).
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__GNUC__) && !defined(__clang__)
#error "GCC or Clang; convcli works without this module"
#endif

#include "versions.h"
#include "module.h"

enum {
    END = 256,         /* a token: below it literals, above it runs */
    SHORTEST = 3,      /* bytes of a run */
    LONGEST = 258,
    TOKENS = END + 1 + LONGEST - SHORTEST + 1,
    SYMBOLS = 286,     /* of literals, the end, and lengths */
    LENGTH_SYMBOLS = 19,
    MOST_BITS = 12,    /* of a symbol */
    MOST_LENGTH_BITS = 7,
    BLOCK = 1 << 16,   /* tokens that share a code */
    CHUNK = 32,        /* bytes that are looked at together */
    HEADER = 640,      /* bytes, more than 17 + 3 * 19 + 14 * 287 bits of a header and 12 of an end make */
    MARGIN = 32,       /* bytes, of the end of all and of what is written in advance */
};

struct coded {
    uint32_t value[TOKENS]; /* bits of a token, above 8 bits that count them */
};

struct writer {
    uint64_t bits;
    unsigned count;
    uint8_t *to;
};

struct state {
    uint16_t tokens[BLOCK + CHUNK];
    uint32_t seen[4][TOKENS]; /* four counts, as one and the same must wait for itself */
    struct coded coded;
};

/* Symbols of the lengths 3 to 258: where each begins, and how many bits tell which one it is. */
static const uint16_t LENGTH_FIRST[SYMBOLS - END] = {3,  4,  5,  6,  7,  8,  9,  10,  11,  13,  15,  17,  19,  23,  27,
                                                     31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258, 259};
static const uint8_t LENGTH_EXTRA[SYMBOLS - END - 1] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                         2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint8_t LENGTH_ORDER[LENGTH_SYMBOLS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

static inline void put(struct writer *writer, uint64_t bits, unsigned count)
{
    writer->bits |= bits << writer->count;
    writer->count += count;
}

/* Whole bytes go out; eight are stored, however few. */
static inline void flush(struct writer *writer)
{
    uint64_t bits = writer->bits;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bits = __builtin_bswap64(bits);
#endif
    memcpy(writer->to, &bits, 8);
    writer->to += writer->count >> 3;
    writer->bits >>= writer->count & ~7u;
    writer->count &= 7;
}

static int ascending(const void *first, const void *second)
{
    uint32_t a = *(const uint32_t *)first, b = *(const uint32_t *)second;
    return (a > b) - (a < b);
}

/* Weights in ascending order become the lengths of their codes. */
static void measure(uint32_t *weights, int count)
{
    int root = 0, leaf = 2, next, depth = 0, open = 1, used = 0;
    if (count == 1) {
        weights[0] = 1;
        return;
    }
    weights[0] += weights[1];
    for (next = 1; next < count - 1; next++)
        for (int child = 0; child < 2; child++) {
            int inner = leaf >= count || (root < next && weights[root] < weights[leaf]);
            uint32_t weight = inner ? weights[root] : weights[leaf];
            weights[next] = child ? weights[next] + weight : weight;
            if (inner)
                weights[root++] = (uint32_t)next;
            else
                leaf++;
        }
    weights[count - 2] = 0;
    for (next = count - 3; next >= 0; next--)
        weights[next] = weights[weights[next]] + 1;
    for (root = count - 2, next = count - 1; open > 0; open = 2 * used, depth++, used = 0) {
        for (; root >= 0 && weights[root] == (uint32_t)depth; root--)
            used++;
        for (; open > used; open--)
            weights[next--] = (uint32_t)depth;
    }
}

/* How many codes have each length once none is longer than `most`: a code that gives up a bit makes room for two. */
static void shorten(const uint32_t *lengths, int count, int most, int *numbers)
{
    uint32_t room = 0;
    memset(numbers, 0, sizeof(int) * (MOST_BITS + 1));
    for (int i = 0; i < count; i++)
        numbers[lengths[i] > (uint32_t)most ? (uint32_t)most : lengths[i]]++;
    for (int length = 1; length <= most; length++)
        room += (uint32_t)numbers[length] << (most - length);
    for (; room > 1u << most; room--) {
        int length = most - 1;
        while (!numbers[length])
            length--;
        numbers[most]--, numbers[length]--, numbers[length + 1] += 2;
    }
}

/* Lengths and codes, bits reversed as they are sent, of symbols by how often they are seen. */
static void assign(const uint32_t *seen, int symbols, int most, uint8_t *lengths, uint16_t *codes)
{
    uint32_t sorted[SYMBOLS], weights[SYMBOLS];
    int count = 0, place = 0, numbers[MOST_BITS + 1];
    unsigned code = 0, first[MOST_BITS + 1];
    memset(lengths, 0, (size_t)symbols);
    for (int symbol = 0; symbol < symbols; symbol++)
        if (seen[symbol])
            sorted[count++] = seen[symbol] << 9 | (uint32_t)symbol;
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    for (int i = 0; i < count; i++)
        weights[i] = sorted[i] >> 9;
    measure(weights, count);
    shorten(weights, count, most, numbers);
    for (int length = most; length > 0; length--)
        for (int i = 0; i < numbers[length]; i++)
            lengths[sorted[place++] & 511] = (uint8_t)length;
    for (int length = 1; length <= most; length++)
        first[length] = code, code = (code + (unsigned)numbers[length]) << 1;
    for (int symbol = 0; symbol < symbols; symbol++)
        if (lengths[symbol]) {
            unsigned straight = first[lengths[symbol]]++, reversed = 0;
            for (int bit = 0; bit < lengths[symbol]; bit++)
                reversed |= (straight >> bit & 1) << (lengths[symbol] - 1 - bit);
            codes[symbol] = (uint16_t)reversed;
        }
}

/* Whether no byte of a chunk, which has one before and two behind, is the first of three like the one before. */
static inline int varied(const uint8_t *bytes)
{
    uint8_t found = 0;
    for (int i = 0; i < CHUNK; i++)
        found |= (uint8_t)((bytes[i] == bytes[i - 1]) & (bytes[i + 1] == bytes[i]) & (bytes[i + 2] == bytes[i + 1]));
    return !found;
}

/* How many bytes from `place` on are like the one before it. */
static inline ptrdiff_t run(const uint8_t *bytes, ptrdiff_t place, ptrdiff_t size)
{
    ptrdiff_t most = size - place < LONGEST ? size - place : LONGEST, length = 0;
    while (length < most && bytes[place + length] == bytes[place - 1])
        length++;
    return length;
}

/* Bytes from `begun` on as `count` tokens, until a block of them is full or all are; what is seen is counted. */
INLINE void look_body(struct state *state, const uint8_t *bytes, ptrdiff_t size, ptrdiff_t *begun, ptrdiff_t *count)
{
    uint16_t *token = state->tokens, *last = state->tokens + BLOCK;
    ptrdiff_t place = *begun;
    memset(state->seen, 0, sizeof state->seen);
    if (!place)
        state->seen[0][*token++ = bytes[place++]]++;
    while (place < size && token < last) {
        if (size - place >= CHUNK + 2 && varied(bytes + place)) {
            for (int i = 0; i < CHUNK; i++)
                token[i] = bytes[place + i];
            for (int i = 0; i < CHUNK; i += 4)
                for (int table = 0; table < 4; table++)
                    state->seen[table][bytes[place + i + table]]++;
            token += CHUNK, place += CHUNK;
            continue;
        }
        for (ptrdiff_t stop = size - place > CHUNK ? place + CHUNK : size; place < stop && token < last;) {
            ptrdiff_t length = run(bytes, place, size);
            *token = (uint16_t)(length < SHORTEST ? bytes[place] : END + 1 + length - SHORTEST);
            place += length < SHORTEST ? 1 : length;
            state->seen[place & 3][*token++]++;
        }
    }
    *begun = place, *count = token - state->tokens;
}

VERSIONS(look,
         (struct state *state, const uint8_t *bytes, ptrdiff_t size, ptrdiff_t *begun, ptrdiff_t *count),
         (state, bytes, size, begun, count))

/* The lengths of codes, themselves coded: (symbol, what follows it) with repetitions of the last one and of zeros. */
static int fold(const uint8_t *lengths, int count, uint8_t (*folded)[2])
{
    int made = 0;
    for (int i = 0, same; i < count; i += same) {
        for (same = 1; i + same < count && lengths[i + same] == lengths[i];)
            same++;
        if (!lengths[i] && same >= 3) {
            same = same < 138 ? same : 138;
            folded[made][0] = same < 11 ? 17 : 18;
            folded[made++][1] = (uint8_t)(same - (same < 11 ? 3 : 11));
        } else if (i && lengths[i] == lengths[i - 1] && same >= 3) {
            same = same < 6 ? same : 6;
            folded[made][0] = 16;
            folded[made++][1] = (uint8_t)(same - 3);
        } else {
            same = 1;
            folded[made][0] = lengths[i];
            folded[made++][1] = 0;
        }
    }
    return made;
}

/* The header of a block: the lengths of the codes of all symbols, and of the one distance. */
static void head(struct writer *writer, const uint8_t *lengths, int last)
{
    uint8_t all[SYMBOLS + 1], folded[SYMBOLS + 1][2], sizes[LENGTH_SYMBOLS];
    uint16_t codes[LENGTH_SYMBOLS];
    uint32_t seen[LENGTH_SYMBOLS] = {0};
    int used = SYMBOLS, sent = LENGTH_SYMBOLS, count;
    while (used > END + 1 && !lengths[used - 1])
        used--;
    memcpy(all, lengths, (size_t)used);
    all[used] = 1;
    count = fold(all, used + 1, folded);
    for (int i = 0; i < count; i++)
        seen[folded[i][0]]++;
    assign(seen, LENGTH_SYMBOLS, MOST_LENGTH_BITS, sizes, codes);
    while (sent > 4 && !sizes[LENGTH_ORDER[sent - 1]])
        sent--;
    put(writer, (uint64_t)(last | 2 << 1 | (used - END - 1) << 3 | (sent - 4) << 13), 17);
    for (int i = 0; i < sent; i++) {
        flush(writer);
        put(writer, sizes[LENGTH_ORDER[i]], 3);
    }
    for (int i = 0; i < count; i++) {
        int symbol = folded[i][0];
        flush(writer);
        put(writer, codes[symbol], sizes[symbol]);
        put(writer, folded[i][1], symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7);
    }
    flush(writer);
}

/* The bits of every token, once the header that tells of them is written. */
static void translate(struct state *state, struct writer *writer, int last)
{
    uint32_t seen[SYMBOLS] = {0}, *value = state->coded.value;
    uint8_t lengths[SYMBOLS];
    uint16_t codes[SYMBOLS] = {0};
    for (int table = 0; table < 4; table++) {
        const uint32_t *literals = state->seen[table], *runs = literals + END + 1 - SHORTEST;
        for (int symbol = 0; symbol < END; symbol++)
            seen[symbol] += literals[symbol];
        for (int symbol = 0; symbol < SYMBOLS - END - 1; symbol++)
            for (int length = LENGTH_FIRST[symbol]; length < LENGTH_FIRST[symbol + 1]; length++)
                seen[END + 1 + symbol] += runs[length];
    }
    seen[END] = 1;
    assign(seen, SYMBOLS, MOST_BITS, lengths, codes);
    head(writer, lengths, last);
    for (int symbol = 0; symbol <= END; symbol++)
        value[symbol] = (uint32_t)codes[symbol] << 8 | lengths[symbol];
    for (int symbol = 0; symbol < SYMBOLS - END - 1; symbol++) {
        uint32_t code = codes[END + 1 + symbol], size = lengths[END + 1 + symbol];
        for (int length = LENGTH_FIRST[symbol]; length < LENGTH_FIRST[symbol + 1]; length++) {
            uint32_t extra = (uint32_t)(length - LENGTH_FIRST[symbol]);
            uint32_t bits = size + LENGTH_EXTRA[symbol] + 1; /* a distance of 1 is the bit 0 */
            value[END + 1 + length - SHORTEST] = (code | extra << size) << 8 | bits;
        }
    }
}

/* The tokens of a block, and its end. */
static void send(const struct state *state, ptrdiff_t count, struct writer *writer)
{
    const uint32_t *value = state->coded.value;
    ptrdiff_t i = 0;
    struct writer here = *writer;
    for (; i + 3 <= count; i += 3) {
        for (int next = 0; next < 3; next++) {
            uint32_t coded = value[state->tokens[i + next]];
            put(&here, coded >> 8, coded & 255);
        }
        flush(&here);
    }
    for (; i <= count; i++) {
        uint32_t coded = value[i < count ? state->tokens[i] : END];
        put(&here, coded >> 8, coded & 255);
        flush(&here);
    }
    *writer = here;
}

/* Room for the worst: 12 bits a byte, a header for every block, each of at least BLOCK bytes but the last. */
static size_t most(size_t size) { return size + size / 2 + (size / BLOCK + 1) * HEADER + MARGIN; }

/* A part of a deflate stream, from one whole byte to another; the bytes written. */
static size_t pack(struct state *state, const uint8_t *bytes, ptrdiff_t size, uint8_t *target, int last)
{
    struct writer writer = {0, 0, target};
    for (ptrdiff_t place = 0, count; place < size;) {
        look(state, bytes, size, &place, &count);
        translate(state, &writer, last && place == size);
        send(state, count, &writer);
    }
    if (!last) { /* an empty block that is stored begins at a whole byte */
        put(&writer, 0, 3);
        put(&writer, 0, -writer.count & 7);
        flush(&writer);
        put(&writer, 0xffff0000, 32);
    }
    put(&writer, 0, -writer.count & 7);
    flush(&writer);
    return (size_t)(writer.to - target);
}

static PyObject *deflate(PyObject *module, PyObject *args)
{
    PyObject *result = NULL;
    Py_buffer source = {0}, target = {0};
    int last;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*w*p", &source, &target, &last))
        return NULL;
    if (source.len < 1 || source.len > PY_SSIZE_T_MAX / 4 || (size_t)target.len < most((size_t)source.len))
        PyErr_SetString(PyExc_ValueError, "nothing to compress, or no room for the worst that may become of it");
    else {
        struct state *state = malloc(sizeof *state);
        size_t size = 0;
        if (state) {
            Py_BEGIN_ALLOW_THREADS
            size = pack(state, source.buf, source.len, target.buf, last);
            Py_END_ALLOW_THREADS
        }
        free(state);
        result = state ? PyLong_FromSize_t(size) : PyErr_NoMemory();
    }
    PyBuffer_Release(&source);
    PyBuffer_Release(&target);
    return result;
}

static PyObject *bound(PyObject *module, PyObject *args)
{
    Py_ssize_t size;
    (void)module;
    if (!PyArg_ParseTuple(args, "n", &size))
        return NULL;
    if (size < 1 || size > PY_SSIZE_T_MAX / 4)
        return PyErr_Format(PyExc_ValueError, "%zd bytes cannot be compressed", size);
    return PyLong_FromSize_t(most((size_t)size));
}

static PyMethodDef METHODS[] = {
    {"deflate", deflate, METH_VARARGS, "deflate(source, target, last) -> bytes written to the target"},
    {"bound", bound, METH_VARARGS, "bound(size) -> bytes that the target must have"},
    {NULL, NULL, 0, NULL},
};

MODULE(_deflate)
