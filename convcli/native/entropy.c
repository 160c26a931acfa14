/* A walk through the Huffman codes of a JPEG's scan: do they end where the picture does, and where each restart is?
 *
 * Nothing is decoded but what tells how long the rest is. libjpeg fills up what is missing, passes over what is too
 * much, and only counts such warnings. On the way a scan can be cut into parts of which each is decoded alone: as data
 * behind a restart, where the first coefficients of a part no longer stand against those before it.
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
enum { WHOLE, EARLY, NO_CODE, TOO_MUCH, OTHER_MARKER, BEYOND, NO_TABLE, TOO_LARGE };

enum {
    TABLES = 4,       /* of each class */
    PACKED = 16 + 256, /* bytes of a table: how many codes have each length, and what they say */
    LOOK = 11,        /* bits that are looked up at once */
    LONGEST = 16,     /* bits of a code */
    MOST_BLOCKS = 64, /* in a unit; T.81 allows 10, lossless files more */
    END = 128,        /* added to a coefficient's number by the end of a block */
    COMPONENTS = 4,
    BLOCK_BYTES = 1024, /* that a block takes at most: 64 codes and values of 32 bits, each byte of them with a zero */
};

/* What begins with so many bits: those of a code and its value, and by how many coefficients it goes on; 0: look on. */
struct table {
    uint16_t look[1 << LOOK];
    int32_t last[LONGEST + 2]; /* the largest code of each length, -1 for none */
    int32_t first[LONGEST + 1]; /* number of the first symbol of a length, less its code */
    uint8_t symbols[256];
    int is_there;
};

/* Codes on their way into a part of a scan. */
struct writer {
    uint8_t *data;
    size_t size, room;
    uint64_t bits; /* the lowest come last */
    int count;
};

struct reader {
    const uint8_t *at, *end;
    uint64_t bits; /* the highest come first */
    int count, beyond; /* bits that are there, and how many of them are not of the file */
    struct writer *copy; /* where the bits go that are passed; or NULL */
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

static inline void put(struct writer *writer, uint64_t bits, int count)
{
    writer->bits = writer->bits << count | bits;
    for (writer->count += count; writer->count >= 8; writer->count -= 8) {
        uint8_t byte = (uint8_t)(writer->bits >> (writer->count - 8));
        writer->data[writer->size++] = byte;
        if (byte == 0xff)
            writer->data[writer->size++] = 0;
    }
}

static inline void skip(struct reader *reader, int bits)
{
    if (reader->copy && bits)
        put(reader->copy, reader->bits >> (64 - bits), bits);
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

static inline int is_restart(const struct scan *scan, Py_ssize_t done)
{
    return scan->restart && done && done % scan->restart == 0;
}

/* Past the marker between two units. */
static int restarted(struct state *state, const struct scan *scan, Py_ssize_t done)
{
    struct reader *reader = &state->reader;
    if (state->run)
        return BEYOND;
    if (!at_marker(reader))
        return TOO_MUCH;
    if (*reader->at++ != 0xd0 + (done / scan->restart - 1) % 8)
        return OTHER_MARKER;
    reader->bits = 0, reader->count = reader->beyond = 0;
    return WHOLE;
}

/* To the marker behind the last unit. */
static int ended(struct state *state)
{
    if (state->run)
        return BEYOND;
    fill(&state->reader);
    if (!at_marker(&state->reader))
        return TOO_MUCH;
    state->reader.at--;
    return WHOLE;
}

static int walk_body(struct state *state, const struct scan *scan, Py_ssize_t *done)
{
    for (*done = 0; *done < scan->units; ++*done) {
        int fault = is_restart(scan, *done) ? restarted(state, scan, *done) : WHOLE;
        fault = fault ? fault : unit(state, scan, *done);
        if (fault)
            return fault;
    }
    return ended(state);
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

/* Codes of the first coefficients as a part writes them: by how many bits a value has. */
struct codes {
    uint16_t code[LONGEST];
    uint8_t length[LONGEST];
};

static void list_codes(struct codes *codes, const uint8_t *packed)
{
    int code = 0, number = 0;
    memset(codes, 0, sizeof *codes);
    for (int length = 1; length <= LONGEST; length++, code <<= 1)
        for (int count = packed[length - 1]; count-- && number < 256; code++, number++)
            if (packed[16 + number] < LONGEST) {
                codes->code[packed[16 + number]] = (uint16_t)code;
                codes->length[packed[16 + number]] = (uint8_t)length;
            }
}

struct part {
    struct codes codes[TABLES];
    struct writer writer;
    const uint8_t *components; /* of each block */
    int64_t read[COMPONENTS], written[COMPONENTS]; /* first coefficient of the block before: since a restart, in the part */
};

/* The first coefficient of a block, which stands against the one before it: another where a restart or a part begins. */
static int cut_first(struct state *state, const struct table *table, struct part *part, const struct codes *codes,
                     int component)
{
    struct reader *reader = &state->reader;
    reader->copy = NULL;
    int bits = symbol(reader, table), length = 0;
    if (bits < 0 || bits > 15)
        return NO_CODE;
    fill(reader);
    int64_t value = take(reader, bits);
    if (bits && !(value >> (bits - 1)))
        value -= (1 << bits) - 1;
    part->read[component] += value;
    value = part->read[component] - part->written[component];
    part->written[component] = part->read[component];
    for (int64_t rest = value < 0 ? -value : value; rest; rest >>= 1)
        length++;
    if (length >= LONGEST || !codes->length[length])
        return TOO_LARGE;
    put(&part->writer, codes->code[length], codes->length[length]);
    put(&part->writer, (uint64_t)(value < 0 ? value + (1 << length) - 1 : value), length);
    reader->copy = &part->writer;
    return WHOLE;
}

static int cut_unit(struct state *state, const struct scan *scan, struct part *part)
{
    struct writer *writer = &part->writer;
    int fault = WHOLE;
    for (int block = 0; block < scan->blocks && !fault; block++) {
        const uint8_t *tables = scan->tables + 2 * block;
        if (writer->room - writer->size < BLOCK_BYTES) {
            uint8_t *larger = realloc(writer->data, 2 * writer->room + BLOCK_BYTES);
            if (!larger)
                return -1;
            writer->data = larger;
            writer->room = 2 * writer->room + BLOCK_BYTES;
        }
        fault = cut_first(state, &state->tables[tables[0]], part, &part->codes[tables[0]], part->components[block]);
        fault = fault ? fault : others(&state->reader, &state->tables[TABLES + tables[1]]);
        if (state->reader.count < state->reader.beyond)
            return EARLY;
    }
    return fault;
}

static int cut_body(struct state *state, const struct scan *scan, struct part *part, int64_t *done, Py_ssize_t count)
{
    for (Py_ssize_t stop = (Py_ssize_t)*done + count; *done < stop; ++*done) {
        int fault = WHOLE;
        if (is_restart(scan, (Py_ssize_t)*done)) {
            fault = restarted(state, scan, (Py_ssize_t)*done);
            memset(part->read, 0, sizeof part->read);
        }
        fault = fault ? fault : cut_unit(state, scan, part);
        if (fault)
            return fault;
    }
    state->reader.copy = NULL;
    int left = part->writer.count;
    if (left)
        put(&part->writer, (1u << (8 - left)) - 1, 8 - left);
    return *done < scan->units ? WHOLE : ended(state);
}

/* Where a scan stands between two parts. */
enum { AT, BITS, COUNT, PASSED, DONE, READ, PLACES = READ + COMPONENTS };

static PyObject *cut(PyObject *module, PyObject *args)
{
    PyObject *result = NULL;
    Py_buffer content = {0}, place = {0}, tables = {0}, packed = {0}, wider = {0}, components = {0};
    struct scan scan = {.kind = SEQUENTIAL};
    Py_ssize_t count;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*w*nnny*y*y*y*", &content, &place, &count, &scan.units, &scan.restart, &tables,
                          &packed, &wider, &components))
        return NULL;
    int64_t *at = place.buf;
    scan.tables = tables.buf;
    scan.blocks = tables.len > 2 * MOST_BLOCKS ? 0 : (int)(tables.len / 2);
    int is_sound = place.len == PLACES * (Py_ssize_t)sizeof *at && (uintptr_t)at % sizeof *at == 0 &&
                   is_possible(&scan, 0, packed.len) && wider.len == packed.len && components.len == scan.blocks;
    for (int block = 0; is_sound && block < scan.blocks; block++)
        is_sound = ((const uint8_t *)components.buf)[block] < COMPONENTS;
    if (!is_sound || at[AT] < 0 || at[AT] > content.len || at[COUNT] < 0 || at[COUNT] > 64 || at[DONE] < 0 ||
        count < 0 || count > scan.units || at[DONE] > scan.units - count)
        PyErr_SetString(PyExc_ValueError, "no such scan, tables or place");
    else {
        struct state *state = calloc(1, sizeof *state);
        struct part *part = calloc(1, sizeof *part);
        int fault = state && part ? NO_TABLE : -1;
        if (fault == NO_TABLE) {
            const uint8_t *from = content.buf;
            Py_BEGIN_ALLOW_THREADS
            state->reader = (struct reader){.at = from + at[AT], .end = from + content.len, .bits = (uint64_t)at[BITS],
                                            .count = (int)at[COUNT], .beyond = (int)at[PASSED]};
            part->components = components.buf;
            memcpy(part->read, at + READ, sizeof part->read);
            for (int number = 0; number < TABLES; number++)
                list_codes(&part->codes[number], (const uint8_t *)wider.buf + number * PACKED);
            if (prepare(state, &scan, packed.buf))
                fault = cut_body(state, &scan, part, at + DONE, count);
            at[AT] = state->reader.at - from, at[BITS] = (int64_t)state->reader.bits;
            at[COUNT] = state->reader.count, at[PASSED] = state->reader.beyond;
            memcpy(at + READ, part->read, sizeof part->read);
            Py_END_ALLOW_THREADS
        }
        if (fault >= 0)
            result = Py_BuildValue("iy#", fault, part->writer.data ? (const char *)part->writer.data : "",
                                   (Py_ssize_t)part->writer.size);
        else
            PyErr_NoMemory();
        if (part)
            free(part->writer.data);
        free(part);
        free(state);
    }
    PyBuffer_Release(&content);
    PyBuffer_Release(&place);
    PyBuffer_Release(&tables);
    PyBuffer_Release(&packed);
    PyBuffer_Release(&wider);
    PyBuffer_Release(&components);
    return result;
}

static PyMethodDef METHODS[] = {
    {"walk", walk, METH_VARARGS,
     "walk(content, start, kind, low, high, units, restart, tables of blocks, tables, seen) -> fault, place, units done"},
    {"cut", cut, METH_VARARGS,
     "cut(content, place, units now, units, restart, tables of blocks, tables, tables to write, components) -> fault, data"},
    {NULL, NULL, 0, NULL},
};

MODULE(_entropy)
