/* A walk through the Huffman codes of a JPEG's scan: do they end where the picture does, and where each restart is?
 *
 * Nothing is decoded but what tells how long the rest is. libjpeg fills up what is missing, passes over what is too
 * much, and only counts such warnings.
 *
 * Source: ITU-T T.81, annexes F (sequential), G (progressive) and H (lossless).
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "module.h"

#if !defined(__GNUC__) && !defined(__clang__)
#error "GCC or Clang; convcli works without this module"
#endif

enum { SEQUENTIAL, DC_FIRST, DC_REFINED, AC_FIRST, AC_REFINED, LOSSLESS, KINDS };
enum { WHOLE, EARLY, NO_CODE, TOO_MUCH, OTHER_MARKER, BEYOND, NO_TABLE };

enum {
    TABLES = 4,       /* of each class */
    PACKED = 16 + 256, /* bytes of a table: how many codes have each length, and what they say */
    LOOK = 11,        /* bits that are looked up at once */
    LONGEST = 16,     /* bits of a code */
    MOST_BLOCKS = 64, /* in a unit; T.81 allows 10, lossless files more */
    END = 128,        /* added to a coefficient's number by the end of a block */
};

/* What begins with so many bits: those of a code and its value, and by how many coefficients it goes on; 0: look on. */
struct table {
    uint16_t look[1 << LOOK];
    int32_t last[LONGEST + 2]; /* the largest code of each length, -1 for none */
    int32_t first[LONGEST + 1]; /* number of the first symbol of a length, less its code */
    uint8_t symbols[256];
    int is_there;
};

struct reader {
    const uint8_t *at, *end;
    uint64_t bits; /* the highest come first */
    int count, beyond; /* bits that are there, and how many of them are not of the file */
};

struct state {
    struct table tables[2 * TABLES]; /* for the first coefficients, and for the others */
    struct reader reader;
    uint32_t run; /* blocks that end at once */
};

static int build(struct table *table, const uint8_t *packed, int kind, int is_first)
{
    int32_t code = 0, number = 0;
    memset(table, 0, sizeof *table);
    for (int length = 1; length <= LONGEST; length++) {
        int codes = packed[length - 1];
        table->first[length] = number - code;
        table->last[length] = codes ? code + codes - 1 : -1;
        if (number + codes > 256 || code + codes > 1 << length)
            return 0;
        number += codes;
        code = (code + codes) << 1;
    }
    table->is_there = number > 0;
    memcpy(table->symbols, packed + 16, 256);
    for (int length = 1; length <= LOOK; length++)
        for (int32_t value = table->last[length] - packed[length - 1] + 1; value <= table->last[length]; value++) {
            int symbol = table->symbols[table->first[length] + value], more = symbol & 15, on = (symbol >> 4) + 1;
            if (is_first)
                more = symbol, on = 1;
            if (kind == LOSSLESS && symbol == 16)
                more = 0;
            else if (is_first && symbol > 15)
                return 0;
            if (!is_first && !more && symbol >> 4 != 15)
                on = END;
            for (int rest = 0; rest < 1 << (LOOK - length); rest++)
                table->look[(value << (LOOK - length)) + rest] = (uint16_t)(on << 5 | (length + more));
        }
    return 1;
}

/* At least 32 bits; behind the data come zeros, which are counted. */
static inline void fill(struct reader *reader)
{
    while (reader->count <= 56) {
        uint64_t byte = 0;
        if (reader->at < reader->end && *reader->at != 0xff)
            byte = *reader->at++;
        else {
            const uint8_t *next = reader->at;
            while (next < reader->end && *next == 0xff)
                next++;
            if (next > reader->at && next < reader->end && !*next)
                byte = 0xff, reader->at = next + 1;
            else
                reader->beyond += 8;
        }
        reader->bits |= byte << (56 - reader->count);
        reader->count += 8;
    }
}

static inline void skip(struct reader *reader, int bits)
{
    reader->bits <<= bits;
    reader->count -= bits;
}

static inline uint32_t take(struct reader *reader, int bits)
{
    uint32_t value = bits ? (uint32_t)(reader->bits >> (64 - bits)) : 0;
    skip(reader, bits);
    return value;
}

/* The next symbol; -1 where no code is. */
static int symbol(struct reader *reader, const struct table *table)
{
    fill(reader);
    for (int length = 1; length <= LONGEST; length++) {
        int32_t code = (int32_t)(reader->bits >> (64 - length));
        if (table->last[length] >= 0 && code <= table->last[length] && table->first[length] + code >= 0) {
            skip(reader, length);
            return table->symbols[table->first[length] + code];
        }
    }
    return -1;
}

/* One value of the first kind: how many bits it has, and those. */
static inline int first(struct reader *reader, const struct table *table, int kind)
{
    fill(reader);
    unsigned entry = table->look[reader->bits >> (64 - LOOK)];
    if (entry)
        skip(reader, entry & 31);
    else {
        int bits = symbol(reader, table);
        if (bits < 0 || bits > 15 + (kind == LOSSLESS))
            return NO_CODE;
        skip(reader, bits > 15 ? 0 : bits);
    }
    return WHOLE;
}

static inline int others(struct reader *reader, const struct table *table)
{
    for (int number = 1; number < 64;) {
        fill(reader);
        unsigned entry = table->look[reader->bits >> (64 - LOOK)];
        if (entry) {
            skip(reader, entry & 31);
            number += entry >> 5;
        } else {
            int value = symbol(reader, table);
            if (value < 0)
                return NO_CODE;
            skip(reader, value & 15);
            number += value & 15 || value >> 4 == 15 ? (value >> 4) + 1 : END;
        }
        if (number > 64 && number < END)
            return BEYOND;
    }
    return WHOLE;
}

static int some(struct state *state, const struct table *table, int low, int high, uint64_t *seen)
{
    struct reader *reader = &state->reader;
    if (state->run) {
        state->run--;
        return WHOLE;
    }
    for (int number = low; number <= high; number++) {
        int value = symbol(reader, table), zeros = value >> 4, bits = value & 15;
        if (value < 0)
            return NO_CODE;
        fill(reader);
        if (!bits && zeros < 15) {
            state->run = (1u << zeros) + take(reader, zeros) - 1;
            return WHOLE;
        }
        number += zeros;
        if (bits) {
            if (number > high)
                return BEYOND;
            skip(reader, bits);
            *seen |= 1ull << number;
        }
    }
    return WHOLE;
}

static int refined(struct state *state, const struct table *table, int low, int high, uint64_t *seen)
{
    struct reader *reader = &state->reader;
    int number = low;
    for (; !state->run && number <= high; number++) {
        int value = symbol(reader, table), zeros = value >> 4, bits = value & 15;
        if (value < 0 || bits > 1)
            return NO_CODE;
        fill(reader);
        if (!bits && zeros < 15) {
            state->run = (1u << zeros) + take(reader, zeros);
            break;
        }
        skip(reader, bits);
        for (; number <= high; number++)
            if (*seen >> number & 1) {
                fill(reader);
                skip(reader, 1);
            } else if (!zeros--)
                break;
        if (bits) {
            if (number > high)
                return BEYOND;
            *seen |= 1ull << number;
        }
    }
    if (state->run) {
        for (; number <= high; number++)
            if (*seen >> number & 1) {
                fill(reader);
                skip(reader, 1);
            }
        state->run--;
    }
    return WHOLE;
}

struct scan {
    int kind, low, high, blocks;
    Py_ssize_t units, restart;
    const uint8_t *tables; /* of each block: for the first coefficient, and for the others */
    uint64_t *seen;
};

static int unit(struct state *state, const struct scan *scan, Py_ssize_t number)
{
    int fault = WHOLE;
    for (int block = 0; block < scan->blocks && !fault; block++) {
        const struct table *dc = &state->tables[scan->tables[2 * block]];
        const struct table *ac = &state->tables[TABLES + scan->tables[2 * block + 1]];
        switch (scan->kind) {
        case SEQUENTIAL:
            fault = first(&state->reader, dc, scan->kind);
            fault = fault ? fault : others(&state->reader, ac);
            break;
        case DC_FIRST:
        case LOSSLESS:
            fault = first(&state->reader, dc, scan->kind);
            break;
        case DC_REFINED:
            fill(&state->reader);
            skip(&state->reader, 1);
            break;
        case AC_FIRST:
            fault = some(state, ac, scan->low, scan->high, scan->seen + number);
            break;
        default:
            fault = refined(state, ac, scan->low, scan->high, scan->seen + number);
        }
        if (state->reader.count < state->reader.beyond)
            return EARLY;
    }
    return fault;
}

/* Whether a marker comes next, whose code the reader goes to then; fill bytes may stand before it. */
static int at_marker(struct reader *reader)
{
    const uint8_t *next = reader->at;
    if (reader->count - reader->beyond >= 8 || next >= reader->end || *next != 0xff)
        return 0;
    while (next < reader->end && *next == 0xff)
        next++;
    if (next >= reader->end || !*next)
        return 0;
    reader->at = next;
    return 1;
}

static int walk_body(struct state *state, const struct scan *scan, Py_ssize_t *done)
{
    struct reader *reader = &state->reader;
    for (*done = 0; *done < scan->units; ++*done) {
        if (scan->restart && *done && *done % scan->restart == 0) {
            if (state->run)
                return BEYOND;
            if (!at_marker(reader))
                return TOO_MUCH;
            if (*reader->at++ != 0xd0 + (*done / scan->restart - 1) % 8)
                return OTHER_MARKER;
            reader->bits = 0, reader->count = reader->beyond = 0;
        }
        int fault = unit(state, scan, *done);
        if (fault)
            return fault;
    }
    if (state->run)
        return BEYOND;
    fill(reader);
    if (!at_marker(reader))
        return TOO_MUCH;
    reader->at--;
    return WHOLE;
}

static int prepare(struct state *state, const struct scan *scan, const uint8_t *packed)
{
    for (int number = 0; number < 2 * TABLES; number++)
        if (!build(&state->tables[number], packed + number * PACKED, scan->kind, number < TABLES))
            return 0;
    for (int block = 0; block < scan->blocks; block++) {
        int uses_first = scan->kind == SEQUENTIAL || scan->kind == DC_FIRST || scan->kind == LOSSLESS;
        int uses_others = scan->kind == SEQUENTIAL || scan->kind == AC_FIRST || scan->kind == AC_REFINED;
        if ((uses_first && !state->tables[scan->tables[2 * block]].is_there) ||
            (uses_others && !state->tables[TABLES + scan->tables[2 * block + 1]].is_there))
            return 0;
    }
    return 1;
}

static int is_possible(const struct scan *scan, Py_ssize_t seen, Py_ssize_t packed)
{
    int is_part = scan->kind == AC_FIRST || scan->kind == AC_REFINED;
    if (scan->kind < 0 || scan->kind >= KINDS || scan->units < 0 || scan->restart < 0 || packed != 2 * TABLES * PACKED)
        return 0;
    if (scan->blocks < 1 || scan->blocks > MOST_BLOCKS)
        return 0;
    for (int place = 0; place < 2 * scan->blocks; place++)
        if (scan->tables[place] >= TABLES)
            return 0;
    return !is_part || (1 <= scan->low && scan->low <= scan->high && scan->high <= 63 && scan->blocks == 1 &&
                        seen / 8 >= scan->units && (uintptr_t)scan->seen % 8 == 0);
}

static PyObject *walk(PyObject *module, PyObject *args)
{
    PyObject *result = NULL;
    Py_buffer content = {0}, tables = {0}, packed = {0}, seen = {0};
    struct scan scan = {0};
    Py_ssize_t start, done = 0;
    int fault = NO_TABLE;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*niiinny*y*w*", &content, &start, &scan.kind, &scan.low, &scan.high, &scan.units,
                          &scan.restart, &tables, &packed, &seen))
        return NULL;
    scan.tables = tables.buf, scan.seen = seen.buf;
    scan.blocks = tables.len > 2 * MOST_BLOCKS ? 0 : (int)(tables.len / 2);
    if (start < 0 || start > content.len || !is_possible(&scan, seen.len, packed.len))
        PyErr_SetString(PyExc_ValueError, "no such scan, tables or place");
    else {
        struct state *state = calloc(1, sizeof *state);
        if (state) {
            const uint8_t *from = content.buf;
            state->reader = (struct reader){.at = from + start, .end = from + content.len};
            Py_BEGIN_ALLOW_THREADS
            if (prepare(state, &scan, packed.buf))
                fault = walk_body(state, &scan, &done);
            Py_END_ALLOW_THREADS
            result = Py_BuildValue("inn", fault, state->reader.at - from, done);
        } else
            PyErr_NoMemory();
        free(state);
    }
    PyBuffer_Release(&content);
    PyBuffer_Release(&tables);
    PyBuffer_Release(&packed);
    PyBuffer_Release(&seen);
    return result;
}

static PyMethodDef METHODS[] = {
    {"walk", walk, METH_VARARGS,
     "walk(content, start, kind, low, high, units, restart, tables of blocks, tables, seen) -> fault, place, units done"},
    {NULL, NULL, 0, NULL},
};

MODULE(_entropy)
